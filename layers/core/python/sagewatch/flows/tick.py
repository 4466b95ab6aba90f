"""The minute's round: whatever an event should have woken and did not is woken now.

Detectors are asked what the clock alone tells: an hour that is over, captures that stay away. It acts on
nothing itself: only ``advance_diagnosis`` may touch an endpoint.
"""

from __future__ import annotations

from sagewatch.errors import ConflictError
from sagewatch.events import DiagnosisChanged, Fact, Ticked
from sagewatch.finding import Stream
from sagewatch.flows.ingest_capture import evaluate_stream
from sagewatch.observability import get_logger
from sagewatch.world import World


def tick(fact: Fact, world: World) -> None:
    """Wake every diagnosis that is under way, and judge every stream by the clock."""
    if not isinstance(fact, Ticked):
        return
    for endpoint in world.monitors.endpoints:
        for stream in world.state.list_streams(endpoint):
            _judge_by_the_clock(stream, world)
    due = [change for endpoint in world.monitors.endpoints if (change := _find_due(endpoint, world))]
    if due:
        world.bus.publish(due, world.now())
    get_logger().debug("ticked", count=len(due))


def _judge_by_the_clock(stream: Stream, world: World) -> None:
    try:
        evaluate_stream(stream, world)
    except ConflictError:
        # A capture file was folded at this very moment, with the clock in view: nothing is left to judge.
        get_logger().debug("stream_judged_by_another", endpoint=stream.endpoint, variant=stream.variant)


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
