"""What an operator asks of a diagnosis by a button: to begin after all, or to give the endpoint back now."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.model import Phase
from sagewatch.events import ActionRequested
from sagewatch.incident.model import Entry
from sagewatch.world import World

_STOPPABLE = frozenset({Phase.SWAPPING, Phase.OBSERVING})


def ask_to_stop(fact: ActionRequested, world: World) -> str | None:
    """Write into the lease that the endpoint is wanted back; the endpoint, or None where nothing is to be stopped."""
    asked = world.state.load_diagnosis_of(fact.incident_id)
    lease = world.state.load_diagnosis(asked.endpoint) if asked else None
    if lease is None or lease.incident_id != fact.incident_id:
        return None
    if lease.phase in _STOPPABLE and not lease.stop_asked_by:
        entry = Entry(at=fact.at, what="diagnosis_stop_asked", reason="by_hand", by=fact.by)
        world.state.save_diagnosis(msgspec.structs.replace(lease, stop_asked_by=fact.by), [entry])
    return lease.endpoint


def note_wish(fact: ActionRequested, world: World) -> None:
    """Write into the trail that somebody asked for a diagnosis."""
    entry = Entry(at=fact.at, what="diagnosis_asked_for", reason="by_hand", by=fact.by)
    world.state.add_entries(fact.incident_id, [entry])
