"""How an incident ends: what it says then, and what its fingerprint's record keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sagewatch.incident.decision import Change, Ignore, Resolve
from sagewatch.incident.entries import build_resolved, find_cause
from sagewatch.incident.flapping import Flapping
from sagewatch.incident.model import BY, Incident, OpenRecord, State

if TYPE_CHECKING:
    from datetime import datetime

ENDED_KEPT = 16
"""Findings that were cleared, and that an open incident keeps whole: what comes and goes for days makes it no larger."""

SETTLED_KEPT = 32
"""Finding ids kept in an open record: more redeliveries than that are told apart by time alone."""


def stay_away(incident: Incident, record: OpenRecord, flapping: Flapping, now: datetime) -> Change | Ignore:
    """The evidence has stayed away long enough: the incident is over since it went."""
    if incident.state is State.RESOLVED or incident.cleared_at is None:
        return Ignore(reason="not_waiting")
    if not has_stayed_away(incident, flapping, now):
        return Ignore(reason="may_come_back")
    end = incident.cleared_at
    closed = close_incident(incident, at=end, by=BY, now=now)
    changed = msgspec.structs.replace(closed, held_until=now)
    cause = find_cause(changed, "evidence_stayed_away")
    entry = msgspec.structs.replace(build_resolved(end, cause), at=now)
    return Resolve(
        incident=changed,
        record=settle_record(record, changed, end),
        entries=(entry,),
        reason=cause,
    )


def has_stayed_away(incident: Incident, flapping: Flapping, at: datetime) -> bool:
    """Whether the evidence of an open incident had been away long enough by then: what came after that is another."""
    return incident.cleared_at is not None and incident.cleared_at + flapping.hold <= at


def close_incident(incident: Incident, *, at: datetime, by: str, now: datetime) -> Incident:
    """The incident, over since ``at``."""
    return msgspec.structs.replace(
        incident, state=State.RESOLVED, resolved_at=at, resolved_by=by, updated_at=now
    )


def settle_record(
    record: OpenRecord, incident: Incident, at: datetime, *, keep: str | None = None
) -> OpenRecord:
    """Closes the record over a resolved incident: its findings are told again only where a person ended it and they get worse."""
    record = _settle(record, {one.finding_id: one.cleared_at or at for one in incident.findings})
    # What a detector says on trial may be worse than the incident was.
    by_hand = record.by_hand | {
        one.finding_id: max(incident.severity, one.severity, key=lambda severity: severity.rank)
        for one in incident.findings
        if one.cleared_at is None
    }
    return msgspec.structs.replace(
        record,
        incident_id=keep,
        by_hand={
            finding_id: severity for finding_id, severity in by_hand.items() if finding_id in record.settled
        },
    )


def leave_ended(incident: Incident, record: OpenRecord) -> tuple[Incident, OpenRecord]:
    """The open incident without the oldest of its findings that were cleared, and the record that knows their end.

    One that people were told of stays: an incident of nothing but findings on trial is told to nobody.
    """
    ended = [one for one in incident.findings if one.cleared_at is not None]
    ended.sort(key=lambda one: (one.cleared_at, one.finding_id))
    told = [one.finding_id for one in ended if not one.staged]
    kept = {*(one.finding_id for one in ended[-ENDED_KEPT:]), *told[-1:]}
    left = {one.finding_id: one.cleared_at for one in ended if one.cleared_at and one.finding_id not in kept}
    if not left:
        return incident, record
    findings = tuple(one for one in incident.findings if one.finding_id not in left)
    return msgspec.structs.replace(incident, findings=findings), _settle(record, left)


def _settle(record: OpenRecord, ends: dict[str, datetime]) -> OpenRecord:
    """The record that knows of these findings when they ended; of the oldest it forgets which they were."""
    settled = record.settled | ends
    by_age = sorted(settled, key=lambda finding_id: (settled[finding_id], finding_id))
    forgotten = [settled[finding_id] for finding_id in by_age[:-SETTLED_KEPT]]
    if record.forgotten_through is not None:
        forgotten.append(record.forgotten_through)
    kept = {finding_id: settled[finding_id] for finding_id in by_age[-SETTLED_KEPT:]}
    return msgspec.structs.replace(
        record,
        awaited=tuple(one for one in record.awaited if one.finding_id not in settled),
        settled=kept,
        by_hand={name: severity for name, severity in record.by_hand.items() if name in kept},
        forgotten_through=max(forgotten, default=None),
    )
