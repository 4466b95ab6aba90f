"""The sections of the incident page, each a function from the dossier to markup, or None where it is empty."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sagewatch.evidence.capture_lane import list_captured
from sagewatch.evidence.config_diff import ConfigRow, compare_configs
from sagewatch.evidence.markup import Child, Markup, foreign, is_safe_url, join, tag
from sagewatch.evidence.plots import CLASSES_SHOWN, build_class_table, draw_trace, tell_factor
from sagewatch.evidence.runbooks import build_runbook
from sagewatch.evidence.timeline import draw_timeline
from sagewatch.evidence.trail import build_time, build_trail, list_costs, tell_reason
from sagewatch.incident.amounts import (
    clean_text,
    format_count,
    format_duration,
    format_share,
    format_time,
)
from sagewatch.incident.describe import GATHERING, name_class
from sagewatch.incident.doing import RUNNING

if TYPE_CHECKING:
    from sagewatch.evidence.model import BrokenConstraint, Dossier, Told, TracePoint
    from sagewatch.finding import Finding

_TRACE_ROWS = 200
_VIOLATIONS_SHOWN = 40
_WORTH_WORDS = 1000


def build_section(anchor: str, title: str, note: Child, *content: Child) -> Markup:
    """A section: its title and a note on how to read it to the left, its content to the right."""
    return tag(
        "section",
        tag("div", tag("h2", title, id=f"{anchor}-title"), tag("p", note) if note else None, class_="aside"),
        tag("div", content, class_="content"),
        id=anchor, aria_labelledby=f"{anchor}-title",
    )  # fmt: skip


def build_timeline(dossier: Dossier) -> Markup:
    """What happened, drawn and listed."""
    told = (draw_timeline(dossier), list_captured(dossier), build_trail(dossier.entries))
    return build_section("timeline", "Timeline", "Times are in UTC.", *told)


def build_evidence(dossier: Dossier) -> Markup:
    """Why the detector spoke: its statistic over time, and its numbers."""
    finding, evidence = dossier.incident.latest, dossier.incident.latest.evidence
    facts = _list_numbers(finding)
    drawn: Child = None
    trace = [point for point in dossier.trace if math.isfinite(point.log10_excess)]
    if trace:
        dated = trace[0].at.date() != trace[-1].at.date()
        rows = (
            tag(
                "tr",
                tag("td", build_time(point.at, dated=dated)),
                tag("td", f"{point.log10_excess:+.2f}", class_="number"),
            )
            for point in trace[-_TRACE_ROWS:]
        )
        head = tag(
            "tr", tag("th", "Time", scope="col"), tag("th", "log10 of times the threshold", scope="col")
        )
        table = tag("table", tag("thead", head), tag("tbody", rows), class_="plain")
        drawn = (draw_trace(dossier, trace), tag("details", tag("summary", "The numbers"), table))
    note = (
        "Every prediction adds to the evidence that the traffic has changed, or takes from it. "
        f"{_tell_crossings([point.log10_excess for point in trace], evidence.log10_excess)}"
        f"{_tell_begin(trace, finding)}"
    )
    if finding.kind not in GATHERING:
        note = "The detector compares what it observed with what it allows."
    return build_section("evidence", "Evidence", note, drawn, _build_facts(facts))


def _tell_begin(trace: list[TracePoint], finding: Finding) -> str:
    """A detector keeps its latest points only: of a long incident the drawing has not the beginning."""
    if not trace or trace[0].at <= finding.raised_at:
        return ""
    return f" What it was before {trace[0].at:%H:%M:%S} is no longer kept."


def _tell_crossings(trace: list[float], whole: float) -> str:
    """How the sawtooth of the drawing becomes the figure at the top of the page."""
    crossings = sum(excess >= 0 for excess in trace)
    if crossings <= 1:
        return f"It peaked at {tell_factor(max([*trace, whole]))} the threshold."
    told = f"It crossed the threshold {crossings:,} times, and starts anew after each"
    if whole <= max(trace):  # the finding was not told of again since its first alarm
        return f"{told}; it peaked at {tell_factor(max(trace))}."
    return f"{told}; taken together, that is {tell_factor(whole)} the threshold."


def build_classes(dossier: Dossier) -> Markup | None:
    """Class shares against the baseline."""
    finding = dossier.incident.latest
    if not finding.counts:
        return None
    hidden = len(finding.counts) - CLASSES_SHOWN
    note = [
        f"The {finding.window.predictions:,} predictions of the finding. The upright mark is the baseline.",
        f" {hidden} rarer classes are not shown." if hidden > 0 else "",
    ]
    return build_section("classes", "Classes", note, build_class_table(finding, dossier.class_names))


def build_violations(dossier: Dossier) -> Markup | None:
    """The table of the second notebook: which constraint failed, and how."""
    if not dossier.violations:
        return None
    head = tag("tr", (tag("th", name, scope="col") for name in ("Feature", "Check", "What is wrong")))

    def build(rows: tuple[BrokenConstraint, ...]) -> Markup:
        body = (
            tag("tr", tag("th", foreign(one.subject, 80), scope="row"), tag("td", foreign(one.check, 60)),
                tag("td", foreign(one.description, 400)))
            for one in rows
        )  # fmt: skip
        return tag("table", tag("thead", head), tag("tbody", body), class_="plain")

    shown, more = dossier.violations[:_VIOLATIONS_SHOWN], dossier.violations[_VIOLATIONS_SHOWN:]
    folded = tag("details", tag("summary", f"{len(more):,} more"), build(more)) if more else None
    note = f"{len(dossier.violations):,} constraints are broken, in the order of the report."
    return build_section("violations", "Violations", note, build(shown), folded)


def build_runbook_section(dossier: Dossier) -> Markup | None:
    """What to do about this kind of finding, in full."""
    blocks = build_runbook(dossier.incident.kind)
    if blocks is None:
        return None
    opened = dossier.incident.resolved_at is None
    content = tag(
        "details",
        tag("summary", "What to do, step by step"),
        tag("div", blocks),
        open=opened,
        class_="runbook",
    )
    return build_section("runbook", "Runbook", "For this kind of finding, whatever its subject.", content)


def build_configs(dossier: Dossier) -> Markup | None:
    """What was changed about the endpoint, and whether it is as it was."""
    rows = compare_configs(dossier.configs)
    if not rows:
        return None
    changed = [row for row in rows if row.changed or not row.restored]
    same = [row for row in rows if row not in changed]
    astray = [row for row in rows if not row.restored]
    progress = dossier.incident.diagnosis
    if dossier.configs.final is None:
        verdict = tag("p", "The endpoint has not been looked at since.", class_="verdict")
    elif astray and progress is not None and progress.stage in RUNNING:
        told = "The endpoint is on the recording configuration; the original one comes back by itself."
        verdict = tag("p", told, class_="verdict")
    elif astray:
        verdict = tag(
            "p", f"{len(astray)} settings differ from the original configuration.", class_="verdict bad"
        )
    else:
        verdict = tag("p", "The endpoint is on its original configuration.", class_="verdict good")
    unchanged = None
    if same:
        summary = tag("summary", f"{len(same)} settings that were left alone")
        unchanged = tag("details", summary, _build_config_table(same))
    note = "Only what the table shows was changed, and only while tensors were recorded."
    table = _build_config_table(changed) if changed else None
    return build_section("endpoint", "Endpoint", note, verdict, table, unchanged, build_cost(dossier))


def build_cost(dossier: Dossier) -> Markup | None:
    """What the diagnosis cost: time, latency, money; None while that is not known."""
    costs = [entry.data for entry in dossier.entries if entry.what == "diagnosis_cost"]
    if not costs:
        return None
    return _build_facts(list_costs(costs[-1]))


def build_told(dossier: Dossier) -> Markup | None:
    """Who was told what, and when."""
    if not dossier.told:
        return None
    head = tag("tr", (tag("th", name, scope="col") for name in ("Receiver", "Message", "Sent")))
    dated = len({told.at.date() for told in dossier.told}) > 1
    rows = (_build_told_row(told, dated=dated) for told in sorted(dossier.told, key=lambda told: told.at))
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="plain")
    return build_section("alerts", "Alerts", "One firing and one resolved for each receiver.", table)


def build_links(dossier: Dossier) -> Markup | None:
    """Where to read on; an address that is no web address is shown as text."""
    if not dossier.links:
        return None
    items = []
    for link in dossier.links:
        label: Child = foreign(link.label)
        if is_safe_url(link.url):
            label = tag("a", label, href=link.url, rel="noreferrer")
        note = tag("span", clean_text(link.note, 200)) if link.note else None
        items.append(tag("li", label, note))
    return build_section("links", "Read on", None, tag("ul", items, class_="links"))


def build_about(dossier: Dossier) -> Markup:
    """Identifiers, for whoever files this."""
    incident, finding = dossier.incident, dossier.incident.latest
    facts = [
        ("Incident", incident.incident_id),
        ("Fingerprint", incident.fingerprint),
        ("Account and region", f"{incident.account}, {incident.region}"),
        ("Found in", finding.source),
        ("Page made", format_time(dossier.made_at)),
    ]
    return tag("footer", _build_facts(facts), tag("p", "Sagewatch. This page needs nothing but itself."))


def _list_numbers(finding: Finding) -> list[tuple[str, str]]:
    """The detector's numbers, each in its own unit."""
    evidence, unit = finding.evidence, finding.evidence.effect_unit
    facts = [("Observed", _tell_amount(evidence.observed, unit))]
    if finding.kind in GATHERING:
        facts += [
            ("Baseline", _tell_amount(evidence.expected, unit)),
            ("Statistic", _tell_statistic(evidence.statistic)),
            ("Threshold", _tell_statistic(evidence.threshold)),
        ]
    else:
        facts.append(("Allowed", _tell_amount(evidence.threshold, unit)))
        if evidence.expected != evidence.threshold:
            facts.append(("Usual", _tell_amount(evidence.expected, unit)))
    detector = finding.detector
    return [
        *facts,
        ("Detector", f"{detector.name} {detector.version}"),
        ("Its settings", detector.config_hash),
    ]


def _tell_amount(amount: float, unit: str) -> str:
    if unit == "share":
        return format_share(amount)
    return format_duration(amount) if unit == "seconds" else f"{amount:.3g}"


def _tell_statistic(statistic: float) -> str:
    return format_count(statistic) if statistic >= _WORTH_WORDS else f"{statistic:.3g}"


def _build_facts(facts: list[tuple[str, str]]) -> Markup:
    return tag(
        "dl", (tag("div", tag("dt", label), tag("dd", foreign(value, 300))) for label, value in facts),
        class_="facts",
    )  # fmt: skip


def _build_told_row(told: Told, *, dated: bool) -> Markup:
    return tag(
        "tr",
        tag("th", foreign(told.receiver), tag("span", foreign(told.channel), class_="count"), scope="row"),
        tag("td", tag("span", foreign(told.kind), class_=f"pill {_pill(told.kind)}"),
            tag("span", tell_reason(told.reason), class_="reason")),
        tag("td", build_time(told.at, dated=dated)),
    )  # fmt: skip


def _pill(kind: str) -> str:
    return kind if kind in {"firing", "updated", "resolved"} else "updated"


def _build_config_table(rows: list[ConfigRow]) -> Markup:
    names = ("Setting", "Original", "While recording", "Now")
    head = tag("tr", (tag("th", name, scope="col") for name in names))
    body = (
        tag(
            "tr",
            tag("th", foreign(row.path, 160), scope="row"),
            _build_setting("Original", row.original),
            _build_setting("While recording", row.hooked, "changed" if row.changed else None),
            _build_setting("Now", row.final, None if row.restored else "astray"),
        )
        for row in rows
    )
    return tag("table", tag("thead", head), tag("tbody", body), class_="configs")


def _build_setting(column: str, value: str | None, look: str | None = None) -> Markup:
    shown = foreign(value, 200) if value is not None else tag("span", "absent", class_="absent")
    # An element of its own says "changed" to whoever does not see colours.
    marked = tag("ins", shown) if look == "changed" else tag("mark", shown) if look == "astray" else shown
    return tag("td", marked, data_column=column, class_=look)


def build_caption(label: str, number: float | None, dossier: Dossier) -> Markup:
    """Class and probability of one input."""
    named = name_class(label, dossier.class_names).removeprefix("class ")
    chance = None if number is None else tag("span", format_share(number), class_="chance")
    return join((tag("strong", foreign(named)), chance))
