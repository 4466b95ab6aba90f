"""One announcement, composed once for every channel: plain words and links, escaped by nobody yet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sagewatch.alert.ledger import Kind
from sagewatch.alert.owed_ends import PERHAPS_TOLD
from sagewatch.finding import SAMPLES_ON_PAGE, Severity
from sagewatch.incident.amounts import clean_text, format_share, format_time
from sagewatch.incident.describe import NAME_LIMIT, describe, name_class
from sagewatch.incident.describe_report import REPORT_KINDS
from sagewatch.incident.doing import tell_doing
from sagewatch.incident.ending import tell_ending, tell_length
from sagewatch.incident.model import Incident, State

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDED = frozenset({"RESOLVED", "NO LONGER JUDGED"})
"""States of what is over; the second is no all-clear."""
TOP_CLASSES = 3
SAMPLES_SHOWN = 3
_PATH_LIMIT = 300
COMPANIONS_SHOWN = 5
_HEADLINE_LIMIT = 120


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on. What is None is not offered.

    Attributes
    ----------
    page
        The incident page in the AWS console: works after sign-in, and goes on working.
    presigned
        The same page for whoever holds the link: dies with the credentials that signed it.
    presigned_until
        When the presigned link ends at the latest.
    log
        The query that shows what the endpoint's model, or the monitoring job, logged.
    runbooks
        Address under which ``<kind>.md`` is found.
    """

    page: str | None = None
    presigned: str | None = None
    presigned_until: datetime | None = None
    dashboard: str | None = None
    metrics: str | None = None
    log: str | None = None
    runbooks: str | None = None


class Companion(msgspec.Struct, frozen=True, kw_only=True):
    """Another incident of the same group, as one line."""

    incident_id: str = ""
    headline: str
    state: State = State.OPEN
    severity: Severity = Severity.INFO
    opened_at: datetime


class Picture(msgspec.Struct, frozen=True):
    """A heat map, with what stands beneath it."""

    title: str
    png: bytes


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver is to be told.

    Attributes
    ----------
    kind
        Firing, updated or resolved.
    companions
        The other incidents that the message is about, those first that somebody has to look after.
    reason
        Why it is told, as a reason code.
    severity_before
        What the receiver knows the severity as, where it is worse now.
    pictures
        Heat maps, where there are some and the channel shows pictures.
    class_names
        Name of each class, by the class as the model answers it.
    """

    kind: Kind
    incident: Incident
    links: Links = Links()
    class_names: dict[str, str] = {}
    companions: tuple[Companion, ...] = ()
    reason: str = ""
    severity_before: Severity | None = None
    pictures: tuple[Picture, ...] = ()


class Link(msgspec.Struct, frozen=True):
    """A labelled address; the note says when it works."""

    label: str
    url: str
    note: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A message without a form yet.

    Attributes
    ----------
    state
        ``FIRING``, ``WORSE``, ``STILL FIRING``, ``COMES AND GOES``, or one of ``ENDED``: an update says in which of them
        the incident is.
    headline
        What, in a few words.
    what
        What, in a sentence or two.
    facts
        Label and value of each fact, in the order of reading.
    """

    state: str
    endpoint: str
    headline: str
    what: str
    facts: tuple[tuple[str, str], ...]
    doing: str
    next_step: str
    links: tuple[Link, ...]


def build_content(announcement: Announcement) -> Content:
    """The announcement in words, every name cut to a readable length."""
    incident = announcement.incident
    description = describe(incident.latest, announcement.class_names)
    # A firing is told as such even where the end is known: the resolved message follows it.
    over = incident.state is State.RESOLVED and announcement.kind not in {Kind.FIRING, Kind.DIGEST}
    ending = tell_ending(incident, description)
    what = description.what
    if over:
        unknown = incident.resolved_by_hand or incident.ended_unjudged
        lasted = "It was open for" if unknown else "It lasted"
        what = f"{ending.what} {lasted} {tell_length(incident)}. {description.what_was}"
        if announcement.reason == PERHAPS_TOLD:
            what += " Its beginning may not have been told here: Sagewatch was interrupted while it did."
    headline = ending.headline if over else description.headline
    if announcement.kind is Kind.DIGEST:
        count = 1 + len(announcement.companions)
        what = (
            f"{description.headline}. It comes and goes: {count:,} more {'time' if count == 1 else 'times'}, not told "
            "one by one. While it does, Sagewatch sums up."
        )
    more = f" and {len(announcement.companions):,} more" if announcement.companions else ""
    return Content(
        state=_find_state(announcement, over=over),
        endpoint=clean_text(incident.endpoint, NAME_LIMIT),
        headline=headline + more,
        what=what,
        facts=tuple(_build_facts(announcement, description.how_bad)),
        doing=_tell_doing(announcement),
        next_step=f"{ending.beware}Read on the incident page what happened and why."
        if over
        else description.next_step,
        links=tuple(_build_links(announcement.links, incident.kind)),
    )


def _find_state(announcement: Announcement, *, over: bool) -> str:
    if over:
        return "NO LONGER JUDGED" if announcement.incident.ended_unjudged else "RESOLVED"
    states = {Kind.DIGEST: "COMES AND GOES", Kind.REPEATED: "STILL FIRING", Kind.WORSENED: "WORSE"}
    return states.get(announcement.kind, "FIRING")


def _tell_doing(announcement: Announcement) -> str:
    doing = tell_doing(announcement.incident)
    if announcement.kind is Kind.FIRING and announcement.incident.state is State.RESOLVED:
        return f"It is over already; the resolved message follows. {doing}"
    return doing


def _build_facts(announcement: Announcement, how_bad: str) -> Iterator[tuple[str, str]]:
    incident = announcement.incident
    finding = incident.latest
    endpoint, variant = clean_text(incident.endpoint, NAME_LIMIT), clean_text(incident.variant, NAME_LIMIT)
    yield "Endpoint", f"{endpoint}, variant {variant} ({incident.account}, {incident.region})"
    before = f", it was {announcement.severity_before.value}" if announcement.severity_before else ""
    yield "Severity", incident.severity.value + before
    yield "How bad", how_bad
    yield "Since", format_time(finding.window.start)
    yield "Found", format_time(incident.opened_at)
    if incident.cleared_at is not None and incident.resolved_at is None:
        yield "Away", f"since {format_time(incident.cleared_at)}: it is over then, unless it comes back soon"
    if finding.window.predictions:
        yield "Seen", f"{finding.window.predictions:,} predictions since it began"
    if finding.kind in REPORT_KINDS:
        yield "Report", clean_text(finding.source, _PATH_LIMIT)
        if finding.job:
            yield "Job", clean_text(finding.job, _PATH_LIMIT)
    elif finding.counts:
        yield "Most frequent", _tell_classes(announcement)
    if finding.samples:
        yield "Samples", _tell_samples(announcement)
    if incident.acknowledged_by is not None:
        yield "Acknowledged", f"by {clean_text(incident.acknowledged_by, NAME_LIMIT)}"
    if incident.resolved_at is not None and announcement.kind is not Kind.FIRING:
        yield "Resolved", f"{format_time(incident.resolved_at)}, {_tell_resolver(incident)}"
    if announcement.companions:
        yield "Together with", _tell_companions(announcement.companions)
    yield "Incident", incident.incident_id


def _tell_companions(companions: tuple[Companion, ...]) -> str:
    """The other incidents of the message, as many as are readable."""
    told = [
        f"{clean_text(one.headline, _HEADLINE_LIMIT)} ({_tell_standing(one)})"
        for one in companions[:COMPANIONS_SHOWN]
    ]
    left = len(companions) - len(told)
    return "; ".join(told) + (f"; and {left:,} more" if left else "")


def _tell_standing(companion: Companion) -> str:
    if companion.state is State.RESOLVED:
        return "over"
    taken = ", acknowledged" if companion.state is State.ACKNOWLEDGED else ""
    return f"since {format_time(companion.opened_at)}{taken}"


def _tell_resolver(incident: Incident) -> str:
    if not incident.resolved_by_hand:
        return "as nothing judges it any more" if incident.ended_unjudged else "by the evidence"
    return f"by hand by {clean_text(incident.resolved_by or '', NAME_LIMIT)}"


def _tell_classes(announcement: Announcement) -> str:
    finding = announcement.incident.latest
    total = finding.window.predictions or sum(finding.counts.values())
    told = []
    for label, count in list(finding.counts.items())[:TOP_CLASSES]:
        named = name_class(label, announcement.class_names).removeprefix("class ")
        usual = finding.expected_shares.get(label)
        beside = f", usually {format_share(usual)}" if usual is not None else ""
        told.append(f"{named}: {count:,} ({format_share(count / total) if total else '-'}{beside})")
    return "; ".join(told)


def _tell_samples(announcement: Announcement) -> str:
    """Where the samples lie, the lines of one object together."""
    samples = announcement.incident.latest.samples
    lines: dict[str, list[str]] = {}
    for sample in samples[:SAMPLES_SHOWN]:
        where = clean_text(f"s3://{sample.bucket}/{sample.key}", _PATH_LIMIT)
        lines.setdefault(where, []).append(str(sample.line))
    shown = min(len(samples), SAMPLES_ON_PAGE)
    more = f"; {shown - SAMPLES_SHOWN:,} more on the page" if shown > SAMPLES_SHOWN else ""
    if len(samples) > shown:
        more += f", all {len(samples):,} named in findings.json"
    return "; ".join(f"{where} line {', '.join(numbers)}" for where, numbers in lines.items()) + more


def _build_links(links: Links, kind: str) -> Iterator[Link]:
    if links.page is not None:
        yield Link("Incident page", links.page, "sign in to AWS first; it stays")
    if links.presigned is not None:
        until = f" {format_time(links.presigned_until)}" if links.presigned_until else ""
        yield Link(
            "Incident page without sign-in",
            links.presigned,
            f"whoever has it can read; ends{until or ' soon'}, or earlier with the credentials that signed it",
        )
    if links.dashboard is not None:
        yield Link("Dashboard", links.dashboard)
    if links.metrics is not None:
        yield Link("Metrics", links.metrics)
    if links.log is not None:
        yield Link("Log query", links.log, "the job's log" if kind in REPORT_KINDS else "the model's log")
    if links.runbooks is not None:
        yield Link("Runbook", f"{links.runbooks.rstrip('/')}/{clean_text(kind, NAME_LIMIT)}.md")
