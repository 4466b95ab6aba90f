"""What people decide about an incident, and what its diagnosis reports, as pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sagewatch.incident.closing import close_incident, settle_record
from sagewatch.incident.decision import Change, Ignore, Resolve, Update
from sagewatch.incident.model import Entry, Incident, OpenRecord, Progress, State

if TYPE_CHECKING:
    from datetime import datetime


def acknowledge(
    incident: Incident, record: OpenRecord, *, by: str, now: datetime, asked_at: datetime | None = None
) -> Change | Ignore:
    """Somebody says that they are looking after it.

    Parameters
    ----------
    asked_at
        When they said so, where word of it may come late, or twice: what has lapsed since is not taken for said anew.
    """
    if incident.state is not State.OPEN:
        return Ignore(reason=f"already_{incident.state}")
    if asked_at is not None and incident.lapsed_at is not None and asked_at <= incident.lapsed_at:
        return Ignore(reason="got_worse_since")
    changed = msgspec.structs.replace(
        incident, state=State.ACKNOWLEDGED, acknowledged_by=by, acknowledged_at=now, updated_at=now
    )
    entry = Entry(at=now, what="incident_acknowledged", reason="by_hand", by=by)
    return Update(incident=changed, record=record, entries=(entry,), reason="acknowledged")


def promote(incident: Incident, record: OpenRecord, *, by: str, now: datetime) -> Change | Ignore:
    """Somebody says that a detector on trial is right: from now on people are told of the incident."""
    if not incident.staged:
        return Ignore(reason="already_told")
    if incident.state is State.RESOLVED:
        return Ignore(reason="already_resolved")
    changed = msgspec.structs.replace(incident, promoted_by=by, updated_at=now)
    entry = Entry(at=now, what="incident_promoted", reason="by_hand", by=by)
    return Update(incident=changed, record=record, entries=(entry,), reason="promoted")


def resolve_by_hand(
    incident: Incident, record: OpenRecord, *, by: str, reason: str, now: datetime
) -> Change | Ignore:
    """Somebody says that it is over; its findings open nothing again unless they get worse, a new episode does."""
    if incident.state is State.RESOLVED:
        return Ignore(reason="already_resolved")
    entry = Entry(at=now, what="incident_resolved", reason="by_hand", by=by, data={"note": reason})
    closed = close_incident(incident, at=now, by=by, now=now)
    changed = msgspec.structs.replace(closed, resolution=reason, ended_muted=None)
    return Resolve(
        incident=changed, record=settle_record(record, changed, now), entries=(entry,), reason="by_hand"
    )


def note_progress(incident: Incident, record: OpenRecord, progress: Progress, *, by: str) -> Change | Ignore:
    """The diagnosis came further; allowed after the end too, since what was found is worth knowing.

    Word of an earlier stage that comes late changes nothing. A diagnosis keeps its own trail of what it does;
    the entry here is for the one that never begins.
    """
    before = incident.diagnosis
    if before is not None and (before == progress or progress.at < before.at):
        return Ignore(reason="progress_already_known")
    changed = msgspec.structs.replace(incident, diagnosis=progress, updated_at=progress.at)
    entry = Entry(
        at=progress.at,
        what=f"diagnosis_{progress.stage}",
        reason=progress.reason,
        by=by,
    )
    entries = (entry,) if progress.stage == "off" else ()
    return Update(incident=changed, record=record, entries=entries, reason="diagnosis_progressed")
