"""The minute's round: whatever an event should have woken and did not is woken now.

It acts on nothing itself: only ``advance_diagnosis`` may touch an endpoint.
"""

from __future__ import annotations

from sagewatch.events import DiagnosisChanged, Fact, Ticked
from sagewatch.observability import get_logger
from sagewatch.world import World


def tick(fact: Fact, world: World) -> None:
    """Wake every diagnosis that is under way, so that its deadlines hold even if all events were lost."""
    if not isinstance(fact, Ticked):
        return
    due = [change for endpoint in world.monitors.endpoints if (change := _find_due(endpoint, world))]
    if due:
        world.bus.publish(due, world.now())
    get_logger().debug("ticked", count=len(due))


def _find_due(endpoint: str, world: World) -> DiagnosisChanged | None:
    diagnosis = world.state.load_diagnosis(endpoint)
    if diagnosis is None or diagnosis.told:
        return None
    return DiagnosisChanged(
        change="due",
        incident_id=diagnosis.incident_id,
        account=world.place.account,
        region=world.place.region,
        endpoint=endpoint,
        variant=diagnosis.variant,
        outcome=diagnosis.outcome,
    )
