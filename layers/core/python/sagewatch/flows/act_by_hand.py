"""What people do to incidents, from the command line or a button: each once, with their name, in the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.flows.budget import hold_against_mutes
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.incident_changes import build_change, build_due
from sagewatch.incident.acts import acknowledge, promote, resolve_by_hand
from sagewatch.incident.calendar import Recurrence
from sagewatch.incident.decision import Change, Ignore, Resolve
from sagewatch.incident.matching import all_hold, build_labels
from sagewatch.incident.model import Entry, Incident, OpenRecord
from sagewatch.incident.muting import Silence, build_silence
from sagewatch.observability import get_logger
from sagewatch.world import World

Decide = Callable[[Incident, OpenRecord, datetime], Change | Ignore]


def acknowledge_incident(
    incident_id: str, *, by: str, world: World, asked_at: datetime | None = None
) -> Change | Ignore:
    """Somebody looks after it: it is not spoken of again soon, and escalates no further.

    Parameters
    ----------
    asked_at
        When they said so, where that may not be now.

    Raises
    ------
    RejectedInputError
        There is no such incident, or nobody's name is given.
    """
    return _act(
        incident_id,
        by,
        lambda one, record, now: acknowledge(one, record, by=by, now=now, asked_at=asked_at),
        world,
    )


def resolve_incident(incident_id: str, *, by: str, reason: str, world: World) -> Change | Ignore:
    """Somebody says that it is over. Raises as ``acknowledge_incident`` does."""
    return _act(
        incident_id,
        by,
        lambda one, record, now: resolve_by_hand(one, record, by=by, reason=reason, now=now),
        world,
    )


def promote_incident(incident_id: str, *, by: str, world: World) -> Change | Ignore:
    """People are to be told of what a detector on trial found. Raises as ``acknowledge_incident`` does."""
    return _act(incident_id, by, lambda one, record, now: promote(one, record, by=by, now=now), world)


def add_silence(
    matchers: tuple[str, ...],
    length: timedelta,
    *,
    by: str,
    reason: str,
    world: World,
    every: Recurrence | None = None,
    starts_at: datetime | None = None,
) -> Silence:
    """Nobody is told of what matches, for so long, from now on or from a later time.

    Raises
    ------
    RejectedInputError
        Author, reason or matchers are missing, or one of them cannot be read.
    """
    start = starts_at or world.now()
    silence = build_silence(matchers, start, start + length, by=by, reason=reason, every=every)
    world.alerts.save_silence(silence)
    return silence


def silence_incident(incident_id: str, length: timedelta, *, by: str, reason: str, world: World) -> Silence:
    """Nobody is told of this endpoint's incidents of this kind and subject, for so long; it is in the trail."""
    matchers = build_incident_matchers(_load(incident_id, world))
    silence = add_silence(matchers, length, by=by, reason=reason, world=world)
    note_silence(incident_id, silence, world.now(), world)
    return silence


def build_incident_matchers(incident: Incident) -> tuple[str, ...]:
    """Matchers of what the incident is about: it, and whatever follows of the same."""
    labels = build_labels(incident)
    return tuple(f'{label}="{labels[label]}"' for label in ("endpoint", "variant", "kind", "subject"))


def note_silence(incident_id: str, silence: Silence, at: datetime, world: World) -> None:
    """Write into the incident's trail that it is silenced."""
    data: dict[str, str | int | float | bool | None] = {
        "silence_id": silence.silence_id,
        "until": silence.ends_at.isoformat(),
        "note": silence.reason,
    }
    entry = Entry(at=at, what="incident_silenced", reason="by_hand", by=silence.by, data=data)
    world.state.add_entries(incident_id, [entry])


def end_silence(silence_id: str, *, by: str, world: World) -> Silence:
    """The silence ends now, or never begins; what it muted is looked at again at once, and its trail says so.

    Raises
    ------
    RejectedInputError
        No such silence is in force.
    """
    now = world.now()
    found = next((one for one in world.alerts.list_silences(now) if one.silence_id == silence_id), None)
    if found is None:
        raise RejectedInputError("no such silence is in force", where="silence", key=silence_id)
    ended = msgspec.structs.replace(found, ends_at=max(now, found.starts_at), ended_by=by)
    world.alerts.save_silence(ended)
    for due in world.alerts.list_due():
        if all_hold(found.matchers, due.labels):
            _look_again(due.incident_id, found, by, now, world)
    return ended


def _look_again(incident_id: str, silence: Silence, by: str, now: datetime, world: World) -> None:
    try:
        incident = world.state.load_incident(incident_id)
    except RejectedInputError as error:  # one that cannot be read keeps no other silent
        get_logger().warning("incident_unreadable", where=error.where, key=error.key)
        return
    if incident is not None:
        _note_end_of_silence(incident_id, silence, by, now, world)
        world.bus.publish([build_due(incident)], now)


def _note_end_of_silence(incident_id: str, silence: Silence, by: str, at: datetime, world: World) -> None:
    """Write into the incident's trail, which says until when it was to be silent, that it is not; one to come said nothing."""
    if silence.starts_at <= at:
        data: dict[str, str | int | float | bool | None] = {
            "silence_id": silence.silence_id,
            "note": f"by {silence.by}: {silence.reason}",
        }
        entry = Entry(at=at, what="silence_ended", reason="by_hand", by=by, data=data)
        world.state.add_entries(incident_id, [entry])


def _act(incident_id: str, by: str, decide: Decide, world: World) -> Change | Ignore:
    if not by.strip() or by.splitlines() != [by]:
        raise RejectedInputError(
            "must be a name on one line, and not be empty", where=f"incident {incident_id}", key="by"
        )

    def attempt() -> Change | Ignore:
        incident = _load(incident_id, world)
        record = world.state.load_open(incident.fingerprint) or OpenRecord(fingerprint=incident.fingerprint)
        decision = decide(incident, record, world.now())
        if not isinstance(decision, Ignore):
            decision = hold_against_mutes(decision, world)
            world.state.save_incident(decision.incident, decision.record, decision.entries)
        return decision

    decision = retry_conflicts(attempt)
    if not isinstance(decision, Ignore):
        change = "resolved" if isinstance(decision, Resolve) else decision.reason
        name = change if change in {"resolved", "acknowledged"} else "updated"
        world.bus.publish([build_change(decision.incident, name)], world.now())
    return decision


def _load(incident_id: str, world: World) -> Incident:
    incident = world.state.load_incident(incident_id)
    if incident is None:
        raise RejectedInputError("there is no such incident", where="incident", key=incident_id)
    return incident
