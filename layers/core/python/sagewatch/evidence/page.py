"""The incident page: one HTML file that asks nobody for anything, from the dossier alone.

``document`` says what a browser lets it do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sagewatch.evidence import sections
from sagewatch.evidence.document import build_document, build_mark
from sagewatch.evidence.features import build_features
from sagewatch.evidence.markup import Child, Markup, foreign, is_safe_url, tag
from sagewatch.evidence.pictures import build_heat_maps, build_looked, build_samples
from sagewatch.evidence.plots import tell_factor
from sagewatch.evidence.timeline import find_stages
from sagewatch.incident.amounts import clean_text, format_duration, hold_amounts
from sagewatch.incident.describe import GATHERING, NAME_LIMIT, describe
from sagewatch.incident.description import Description
from sagewatch.incident.doing import RUNNING, tell_doing
from sagewatch.incident.ending import tell_ending
from sagewatch.incident.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagewatch.evidence.model import Dossier

_STEPS = (
    ("swapping", "Swap to recording"),
    ("observing", "Record tensors"),
    ("restoring", "Restore endpoint"),
    ("explaining", "Explain inputs"),
)


def build_page(dossier: Dossier) -> bytes:
    """The page, UTF-8. Equal dossiers give equal bytes; links that are no web addresses are no links."""
    description = describe(dossier.incident.latest, dossier.class_names)
    body = (
        _build_hero(dossier, description),
        tag(
            "main",
            _build_next(dossier, description),
            sections.build_timeline(dossier),
            sections.build_evidence(dossier),
            sections.build_classes(dossier),
            build_features(dossier),
            sections.build_violations(dossier),
            build_samples(dossier),
            build_looked(dossier),
            build_heat_maps(dossier),
            sections.build_configs(dossier),
            sections.build_told(dossier),
            sections.build_runbook_section(dossier),
            sections.build_links(dossier),
        ),
        sections.build_about(dossier),
    )
    return _build_document(dossier, description, body).encode()


def build_placeholder(incident_id: str) -> bytes:
    """What stands where the page will be, for the seconds until it is written."""
    body = tag(
        "main",
        tag("h1", "This incident's page is being written"),
        tag(
            "p",
            f"Incident {clean_text(incident_id, NAME_LIMIT)} was found just now. Load this page again in a few seconds.",
        ),
    )
    return build_document("Being written · Sagewatch", body, look="info").encode()


def _build_document(dossier: Dossier, description: Description, body: Child) -> Markup:
    endpoint = clean_text(dossier.incident.endpoint, NAME_LIMIT)
    look = "over" if dossier.incident.state is State.RESOLVED else dossier.incident.severity.value
    mark = "REPLAY · " if dossier.replay else ""
    return build_document(f"{mark}{description.headline} · {endpoint} · Sagewatch", body, look=look)


def _build_hero(dossier: Dossier, description: Description) -> Markup:
    incident = dossier.incident
    state = {State.OPEN: "Firing", State.ACKNOWLEDGED: "Acknowledged", State.RESOLVED: "Resolved"}[
        incident.state
    ]
    return tag(
        "header",
        tag(
            "p",
            tag("span", state, class_="state"),
            tag("span", incident.severity.value),
            tag("span", foreign(incident.endpoint, NAME_LIMIT), " / ", foreign(incident.variant, NAME_LIMIT)),
            tag("span", "Sagewatch", class_="brand"),
            class_="status",
        ),
        build_mark(dossier.replay),
        tag("h1", hold_amounts(_build_headline(dossier, description))),
        tag("p", hold_amounts(_build_lede(dossier, description)), class_="lede"),
        tag("dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in _list_figures(dossier)),
            class_="figures"),
    )  # fmt: skip


def _build_headline(dossier: Dossier, description: Description) -> str:
    """What is wrong; what was; or who said that it is over, and why."""
    incident = dossier.incident
    if incident.resolved_by_hand or incident.ended_unjudged:
        return tell_ending(incident, description).what
    return description.what_was if incident.state is State.RESOLVED else description.what


def _build_lede(dossier: Dossier, description: Description) -> str:
    how_bad = description.how_bad
    if dossier.incident.resolved_at is None:
        return how_bad
    if dossier.incident.resolved_by_hand or dossier.incident.ended_unjudged:
        return f"{description.what_was} {how_bad}"
    return f"{description.over}. Over its whole length: {how_bad}"


def _list_figures(dossier: Dossier) -> Iterator[tuple[str, Child]]:
    """The few numbers that whoever is woken asks for first."""
    incident = dossier.incident
    window, evidence = incident.latest.window, incident.latest.evidence
    yield "Since", (f"{window.start:%H:%M:%S}", tag("small", f"{window.start:%d %b %Y}, UTC"))
    if window.predictions:
        yield "Found in", (f"{_count_until_found(dossier):,}", tag("small", "predictions"))
    if incident.kind in GATHERING:
        yield "Evidence", (tell_factor(evidence.log10_excess), tag("small", "the threshold"))
    end = incident.resolved_at or dossier.made_at
    state = "until resolved" if incident.resolved_at else "and still open"
    yield "Lasted" if incident.resolved_at else "Open for", (
        format_duration(end - incident.opened_at), tag("small", state)
    )  # fmt: skip
    hooked = [
        one for one in find_stages(dossier.entries, dossier.made_at) if one.look in {"observing", "restoring"}
    ]
    if hooked:
        length = sum((one.end - one.start for one in hooked), timedelta())
        yield "Endpoint swapped", (format_duration(length), tag("small", "recording tensors"))
    if dossier.explained:
        yield "Explained", (f"{len(dossier.explained)}", tag("small", "inputs"))


def _count_until_found(dossier: Dossier) -> int:
    """Predictions from the beginning to the first word of it; a finding goes on counting after that."""
    raised = [entry for entry in dossier.entries if entry.what == "finding_raised"]
    first = min(raised, key=lambda entry: entry.at).data.get("predictions") if raised else None
    return first if isinstance(first, int) else dossier.incident.latest.window.predictions


def _build_next(dossier: Dossier, description: Description) -> Markup:
    """What Sagewatch does, and what the reader does: before all detail."""
    over = dossier.incident.state is State.RESOLVED
    runbook = None
    if dossier.runbook is not None and is_safe_url(dossier.runbook):
        kind = clean_text(dossier.incident.kind, NAME_LIMIT)
        runbook = tag("p", tag("a", f"Runbook: {kind}", href=dossier.runbook, rel="noreferrer"))
    beware = tell_ending(dossier.incident, description).beware
    first = (beware or "It is over. Make sure of the cause before it comes again. ") if over else None
    return tag(
        "section",
        tag("div", tag("h2", "What Sagewatch did" if over else "What Sagewatch is doing", id="doing-title"),
            tag("p", tell_doing(dossier.incident)), _build_steps(dossier), class_="half"),
        tag("div", tag("h2", "What to do next"), tag("p", first, description.next_step), runbook, class_="half"),
        id="doing", class_="halves", aria_labelledby="doing-title",
    )  # fmt: skip


def _build_steps(dossier: Dossier) -> Markup | None:
    """The stages of the diagnosis: done, under way, or to come."""
    progress = dossier.incident.diagnosis
    if progress is None or not progress.touched or progress.stage not in {*RUNNING, "finished", "abandoned"}:
        return None
    lasted = {one.look: one.end - one.start for one in find_stages(dossier.entries, dossier.made_at)}
    items = []
    for stage, name in _STEPS:
        if stage == progress.stage:
            look, told = "now", "under way"
        elif stage in lasted:
            look, told = "done", format_duration(lasted[stage])
        else:
            look, told = "todo", "to come" if progress.stage in RUNNING else "left out"
        items.append(tag("li", tag("span", name), tag("small", told), class_=look))
    return tag("ol", items, class_="steps")
