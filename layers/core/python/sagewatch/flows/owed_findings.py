"""What a run changed is told on the bus as it was stored: of two workers that cross, the loser tells nothing.

The findings are stored with what is known of the schedule, told, and struck off. Who crashes between leaves them to whoever
looks next: told twice perhaps, and hearers know repetitions.
"""

from __future__ import annotations

import msgspec

from sagewatch.errors import ConflictError
from sagewatch.events import FindingReported
from sagewatch.report.schedule import ScheduleState
from sagewatch.world import World


def load_told(schedule: str, world: World) -> ScheduleState:
    """What is known of a schedule, once all of that is told."""
    state = world.state.load_schedule(schedule)
    return tell_owed(state, world) if state.owed else state


def tell_owed(state: ScheduleState, world: World) -> ScheduleState:
    """Say on the bus what a stored state owes; the answer owes nothing.

    Where it was changed meanwhile, whoever did told this too: it is the answer's version that is old then, and whoever
    saves it learns of it.
    """
    world.bus.publish([FindingReported(finding) for finding in state.owed], world.now())
    told = msgspec.structs.replace(state, owed=())
    try:
        world.state.save_schedule(told)
    except ConflictError:
        return told
    return msgspec.structs.replace(told, version=state.version + 1)
