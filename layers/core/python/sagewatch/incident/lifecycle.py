"""The life of an incident, as pure decisions: finding and stored state in, what to write out.

Findings come in any order and any number of times. Whatever the order, each episode of a finding is told
from beginning to end exactly once, and a fingerprint has at most one open incident.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from sagewatch.errors import ConflictError, RetryError
from sagewatch.incident.closing import close_incident, leave_ended, settle_record
from sagewatch.incident.decision import (
    Change,
    Decision,
    Ignore,
    Note,
    Open,
    OpenResolved,
    Resolve,
    Update,
)
from sagewatch.incident.entries import (
    build_cleared,
    build_opening,
    build_raised,
    build_resolved,
    build_rise,
    find_cause,
)
from sagewatch.incident.flapping import Flapping, Opening, count_opening, is_flapping, remember_opening
from sagewatch.incident.model import BY, Incident, OpenRecord, State

if TYPE_CHECKING:
    from datetime import datetime

    from sagewatch.finding import Finding

AWAITED_KEPT = 8
"""Early clearings kept in an open record, each with its whole finding; further ones come again from their queue."""

AWAITED_FOR = timedelta(days=1)
"""An early clearing is forgotten where a later one is so much younger: what was not raised by then never was."""

WORSE = "worse_than_resolved"
"""Reason code of what is opened anew, as it got worse after a person had resolved it."""

_PATIENCE = Flapping()


def build_incident_id(opened_at: datetime, fingerprint: str, finding_id: str = "") -> str:
    """A name that sorts by time and says which fingerprint it is about.

    Parameters
    ----------
    finding_id
        The finding that opens it, where another incident of the fingerprint opened in the same second.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> build_incident_id(datetime(2026, 11, 21, 20, 34, 5, tzinfo=UTC), "d70a35fb2065c43a")
    '20261121T203405Z-d70a35fb2065c43a'
    """
    return f"{opened_at:%Y%m%dT%H%M%SZ}-{fingerprint}" + (f"-{finding_id[:4]}" if finding_id else "")


def decide_on_finding(
    finding: Finding,
    open_: OpenRecord | None,
    incident: Incident | None,
    now: datetime,
    flapping: Flapping = _PATIENCE,
) -> Decision:
    """What one finding changes.

    Parameters
    ----------
    finding
        A finding raised, raised again with more evidence, or (``cleared_at`` set) cleared.
    open_
        The open record of its fingerprint, None where none was ever stored.
    incident
        The incident that ``open_`` names, None where it names none.
    now
        The time of the decision, UTC.
    flapping
        How patient to be with what comes and goes.

    Raises
    ------
    ConflictError
        ``open_`` names an incident that was not given: the two reads were torn apart.
    RetryError
        It was cleared before anybody heard it raised, and too many such wait already.
    """
    record = open_ or OpenRecord(fingerprint=finding.fingerprint)
    if (record.incident_id is None) != (incident is None):
        raise ConflictError("open_record_and_incident_differ")
    if finding.finding_id in record.by_hand:
        return _decide_after_hand(finding, record, incident, now, flapping)
    known = _find(finding, incident.findings) if incident is not None else None
    if incident is not None and known is not None:
        return _decide_on_known(finding, known, record, incident, now, flapping)
    if (reason := _find_reason_to_ignore(finding, record)) is not None:
        return Ignore(reason=reason)
    if finding.cleared_at is not None:
        return _decide_on_early_clearing(finding, finding.cleared_at, record)
    early = _find(finding, record.awaited)
    if early is not None and early.cleared_at is not None:
        whole = msgspec.structs.replace(early, staged=early.staged and finding.staged)
        return _decide_on_ended(whole, early.cleared_at, record, incident, now, flapping)
    if incident is not None:
        return _fold(finding, record, incident, "finding_added", now, flapping)
    return _open(finding, record, now, flapping)


def _decide_after_hand(
    finding: Finding, record: OpenRecord, incident: Incident | None, now: datetime, flapping: Flapping
) -> Decision:
    """Of what a person ended while its evidence went on: worse than it was then is news, anything else is not."""
    worse = finding.severity.rank > record.by_hand[finding.finding_id].rank
    if not worse and finding.cleared_at is None:
        return Ignore(reason="already_settled")
    if not worse:
        # Nothing of it is to come: a worse state that comes late would open what no clearing ends any more.
        return Note(record=_forget_by_hand(finding, record), reason="already_settled")
    record, at = _forget_settled(finding, record), finding.window.end
    if finding.cleared_at is not None:
        return _decide_on_ended(
            finding, finding.cleared_at, record, incident, now, flapping, at=at, reason=WORSE
        )
    if incident is not None:
        return _fold(finding, record, incident, "finding_added", now, flapping)
    return _open(finding, record, now, flapping, at=at, reason=WORSE)


def count_as_told(decision: Change) -> Change:
    """The decision, where people can be told of its incident now: it counts, as bad as it is by now.

    What nobody is told of (muted, on trial) uses up nothing of what is told.
    """
    opening = Opening(decision.incident.opened_at, decision.incident.severity)
    counted = count_opening(decision.record.counted, opening)
    return msgspec.structs.replace(decision, record=msgspec.structs.replace(decision.record, counted=counted))


def _find_reason_to_ignore(finding: Finding, record: OpenRecord) -> str | None:
    """Why a finding changes nothing, whatever is open; None where it may change something."""
    if finding.finding_id in record.settled:
        return "already_settled"
    end = finding.cleared_at or finding.window.end
    if record.forgotten_through is not None and end <= record.forgotten_through:
        # So old that its id may have been dropped from the record.
        return "stale"
    return None


def _forget_by_hand(finding: Finding, record: OpenRecord) -> OpenRecord:
    left = {name: severity for name, severity in record.by_hand.items() if name != finding.finding_id}
    return msgspec.structs.replace(record, by_hand=left)


def _forget_settled(finding: Finding, record: OpenRecord) -> OpenRecord:
    """A person ended it while it was milder: nobody has said of what it is now that it is over."""
    left = {name: end for name, end in record.settled.items() if name != finding.finding_id}
    return msgspec.structs.replace(_forget_by_hand(finding, record), settled=left)


def _find(finding: Finding, among: tuple[Finding, ...]) -> Finding | None:
    """Another state of the same finding."""
    return next((one for one in among if one.finding_id == finding.finding_id), None)


def _decide_on_known(
    finding: Finding,
    known: Finding,
    record: OpenRecord,
    incident: Incident,
    now: datetime,
    flapping: Flapping,
) -> Decision:
    if known.cleared_at is not None:
        return Ignore(reason="already_cleared")
    if finding.cleared_at is None:
        if not _is_news(finding, known):
            return Ignore(reason="already_folded")
        return _fold(finding, record, incident, "evidence_grew", now, flapping)
    return _clear(finding, finding.cleared_at, record, incident, now, flapping)


def _is_news(finding: Finding, known: Finding) -> bool:
    """Whether it goes on, or the look of a slow run shows that it is worse, or began earlier, than was known."""
    if finding.window.end != known.window.end:
        return finding.window.end > known.window.end
    return finding.window.start < known.window.start or finding.severity.rank > known.severity.rank


def _decide_on_early_clearing(finding: Finding, cleared_at: datetime, record: OpenRecord) -> Note | Ignore:
    if _find(finding, record.awaited) is not None:
        return Ignore(reason="clearing_already_noted")
    # By the findings' own times: in a replay of the archive all are old.
    kept = [one for one in record.awaited if one.cleared_at and cleared_at < one.cleared_at + AWAITED_FOR]
    if len(kept) >= AWAITED_KEPT:
        # One that is forgotten would leave its incident open for ever.
        raise RetryError("too_many_clearings_before_their_findings")
    return Note(
        record=msgspec.structs.replace(record, awaited=(*kept, finding)), reason="cleared_before_raised"
    )


def _open(
    finding: Finding, record: OpenRecord, now: datetime, flapping: Flapping, *, at: datetime | None = None,
    reason: str = "new_incident",
) -> Open:  # fmt: skip
    opened_at = at or finding.raised_at
    incident = _build_incident(finding, record, opened_at, now, flapping)
    return Open(
        incident=incident,
        record=msgspec.structs.replace(
            record,
            incident_id=incident.incident_id,
            openings=remember_opening(record.openings, opened_at),
        ),
        entries=build_opening(finding, now, reason),
        reason=reason,
    )


def _decide_on_ended(
    cleared: Finding, cleared_at: datetime, record: OpenRecord, incident: Incident | None, now: datetime,
    flapping: Flapping, *, at: datetime | None = None, reason: str = "new_incident",
) -> Open | Update | Resolve | OpenResolved:  # fmt: skip
    """Of an episode whose end is known first; one that may come back yet, or has, is held as if both had come in order."""
    goes_on_at = now if incident is None else incident.opened_at
    if not flapping.hold or cleared_at + flapping.hold <= goes_on_at:
        return _open_resolved(cleared, cleared_at, record, now, flapping, at=at)
    raised = msgspec.structs.replace(cleared, cleared_at=None)
    first = (
        _open(raised, record, now, flapping, at=at, reason=reason)
        if incident is None
        else _fold(raised, record, incident, "finding_added", now, flapping)
    )
    then = _clear(cleared, cleared_at, first.record, first.incident, now, flapping)
    entries = (*first.entries, *then.entries)
    # It is known now: the incident itself says that it has cleared.
    awaited = tuple(one for one in then.record.awaited if one.finding_id != cleared.finding_id)
    record = msgspec.structs.replace(then.record, awaited=awaited)
    if incident is None:
        return Open(incident=then.incident, record=record, entries=entries, reason=then.reason)
    changed = then.incident
    if cleared.raised_at < incident.latest.raised_at:  # what came back speaks for the incident
        findings = (changed.latest, *changed.findings[:-1])
        changed = msgspec.structs.replace(changed, findings=findings)
    return msgspec.structs.replace(then, incident=changed, record=record, entries=entries)


def _open_resolved(
    cleared: Finding, cleared_at: datetime, record: OpenRecord, now: datetime, flapping: Flapping, *,
    at: datetime | None = None,
) -> OpenResolved:  # fmt: skip
    """The same end as if both had come in order: the clearing tells all that the raising did, and more."""
    opened_at = at or cleared.raised_at
    opened = _build_incident(cleared, record, opened_at, now, flapping)
    incident = close_incident(opened, at=cleared_at, by=BY, now=now)
    record = msgspec.structs.replace(record, openings=remember_opening(record.openings, opened_at))
    return OpenResolved(
        incident=incident,
        # Another incident of this fingerprint may be open: it stays so.
        record=settle_record(record, incident, cleared_at, keep=record.incident_id),
        entries=(
            *build_opening(cleared, now),
            build_cleared(cleared, cleared_at),
            build_resolved(cleared_at, find_cause(incident)),
        ),
        reason="cleared_before_raised",
    )


def _fold(
    finding: Finding, record: OpenRecord, incident: Incident, reason: str, now: datetime, flapping: Flapping
) -> Update:
    changed = _take_in(finding, record, incident, now, flapping)
    rise = build_rise(incident, changed, reason, now)
    # What merely lasts leaves no line: the incident holds its latest state, the page draws how it came to that.
    raised = [build_raised(finding, reason, at=now)] if rise or reason != "evidence_grew" else []
    changed, record = leave_ended(changed, record)
    return Update(incident=changed, record=record, entries=(*raised, *rise), reason=reason)


def _clear(
    finding: Finding,
    cleared_at: datetime,
    record: OpenRecord,
    incident: Incident,
    now: datetime,
    flapping: Flapping,
) -> Update | Resolve:
    folded = _take_in(finding, record, incident, now, flapping)
    cleared = (*build_rise(incident, folded, "evidence_grew", now), build_cleared(finding, cleared_at))
    ends = [one.cleared_at for one in folded.findings if one.cleared_at is not None]
    if len(ends) < len(folded.findings):
        return Update(incident=folded, record=record, entries=cleared, reason="one_finding_cleared")
    end = max(ends)
    if flapping.hold and now < end + flapping.hold:
        waiting = msgspec.structs.replace(folded, cleared_at=end)
        return Update(incident=waiting, record=record, entries=cleared, reason="may_come_back")
    changed = close_incident(folded, at=end, by=BY, now=now)
    cause = find_cause(changed)
    return Resolve(
        incident=changed,
        record=settle_record(record, changed, end),
        entries=(*cleared, build_resolved(end, cause)),
        reason=cause,
    )


def _take_in(
    finding: Finding, record: OpenRecord, incident: Incident, now: datetime, flapping: Flapping
) -> Incident:
    """The incident with this state of the finding, as the one that speaks for it; severity never falls.

    One that gets worse is held against the budget of what is as bad: it may be told by itself from now on; and whoever
    looks after it has taken something milder, so that somebody has to say so again. Who was told of a finding hears of its
    end, though its detector is on trial by then; what a detector says on trial makes nothing worse that people were told of.
    """
    known = _find(finding, incident.findings)
    if known is not None and not known.staged:
        finding = msgspec.structs.replace(finding, staged=False)
    others = tuple(one for one in incident.findings if one.finding_id != finding.finding_id)
    worst = max(incident.severity, finding.severity, key=lambda severity: severity.rank)
    if finding.staged and not incident.staged and incident.promoted_by is None:
        worst = incident.severity
    away = incident.cleared_at if finding.cleared_at is not None else None
    summed_up = incident.flapping and is_flapping(
        record.counted, Opening(incident.opened_at, worst), flapping
    )
    if worst is not incident.severity and incident.state is State.ACKNOWLEDGED:
        incident = msgspec.structs.replace(
            incident, state=State.OPEN, acknowledged_by=None, acknowledged_at=None, lapsed_at=now
        )
    return msgspec.structs.replace(
        incident,
        findings=(*others, finding),
        severity=worst,
        flapping=summed_up,
        cleared_at=away,
        ended_muted=incident.ended_muted if away is not None else None,
        updated_at=now,
    )


def _build_incident(
    finding: Finding, record: OpenRecord, opened_at: datetime, now: datetime, flapping: Flapping
) -> Incident:
    second = opened_at.replace(microsecond=0)
    taken = any(one.replace(microsecond=0) == second for one in record.openings)
    return Incident(
        # The finding's own time, not the clock's: a replay builds the same name.
        incident_id=build_incident_id(opened_at, finding.fingerprint, finding.finding_id if taken else ""),
        fingerprint=finding.fingerprint,
        account=finding.account,
        region=finding.region,
        endpoint=finding.endpoint,
        variant=finding.variant,
        kind=finding.kind,
        subject=finding.subject,
        severity=finding.severity,
        state=State.OPEN,
        opened_at=opened_at,
        updated_at=now,
        findings=(finding,),
        flapping=is_flapping(record.counted, Opening(opened_at, finding.severity), flapping),
    )
