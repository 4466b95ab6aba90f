"""The minute's round: whatever an event should have woken and did not is woken now.

Detectors are asked what the clock alone tells: an hour that is over, captures that stay away. It acts on
nothing itself: only ``advance_diagnosis`` may touch an endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagewatch.diagnose.afterwards import is_watched
from sagewatch.errors import ConflictError
from sagewatch.events import AlertDue, CanaryDue, DiagnosisChanged, Fact, Ticked
from sagewatch.finding import Stream
from sagewatch.flows.first_capture import notice_first_capture
from sagewatch.flows.ingest_capture import evaluate_stream
from sagewatch.flows.lost_runs import notice_lost_runs
from sagewatch.flows.manage_incident import finish_clearing
from sagewatch.flows.owed_diagnoses import list_owed
from sagewatch.flows.synthetic_finding import send_canary
from sagewatch.observability import get_logger
from sagewatch.world import World

ALERTS_AT_ONCE = 500
"""More than that are told by the next ticks: a tick has less than a minute."""


def tick(fact: Fact, world: World) -> None:
    """Wake every diagnosis that is under way, and judge every stream by the clock; send the canary when it is due."""
    if isinstance(fact, CanaryDue):
        send_canary(fact, world)
        return
    if not isinstance(fact, Ticked):
        return
    for endpoint, watched in world.monitors.endpoints.items():
        streams = world.state.list_streams(endpoint)
        for stream in streams:
            _judge_by_the_clock(stream, world)
        if watched.detectors.no_data is not None:
            notice_first_capture(endpoint, watched.detectors.no_data, world, seen=bool(streams))
    # An endpoint may be taken out of monitors.yml while it records: it is looked after until it is its owner's.
    leased = sorted({*world.monitors.endpoints, *world.state.list_diagnosed()})
    due: list[DiagnosisChanged | AlertDue] = [
        change for endpoint in leased if (change := _find_due(endpoint, world))
    ]
    due += list_owed(world)
    due += _list_due_alerts(world)
    if due:
        world.bus.publish(due, world.now())
    _measure_overdue(leased, world)
    for endpoint, watched in world.monitors.endpoints.items():
        if watched.quality is not None:
            notice_lost_runs(endpoint, watched.quality, world)
    get_logger().debug("ticked", count=len(due))


def _measure_overdue(leased: Iterable[str], world: World) -> None:
    """Say by how much the most overdue diagnosis is late: an endpoint may still be recording. An alarm looks at it."""
    now = world.now()
    found = [world.state.load_diagnosis(endpoint) for endpoint in leased]
    late = [(now - one.due).total_seconds() for one in found if one is not None and not one.phase.over]
    world.metrics.put({"DiagnosisOverdue": max([0.0, *late])}, "Seconds", EventBus=world.settings.event_bus)


def _judge_by_the_clock(stream: Stream, world: World) -> None:
    try:
        evaluate_stream(stream, world)
    except ConflictError:
        # A capture file was folded at this very moment, with the clock in view: nothing is left to judge.
        get_logger().debug("stream_judged_by_another", endpoint=stream.endpoint, variant=stream.variant)


def _list_due_alerts(world: World) -> list[AlertDue]:
    """The incidents whose time it is, the longest overdue first."""
    now, hold = world.now(), world.monitors.flapping.hold
    for row in world.alerts.list_due():
        if row.cleared_at is not None and now >= row.cleared_at + hold:
            finish_clearing(row.incident_id, world)
    rows = [row for row in world.alerts.list_due() if row.due_at is not None and row.due_at <= now]
    rows.sort(key=lambda row: (row.due_at or now, row.incident_id))
    return [
        AlertDue(
            incident_id=row.incident_id,
            account=row.labels["account"],
            region=row.labels["region"],
            endpoint=row.labels["endpoint"],
            variant=row.labels["variant"],
        )
        for row in rows[:ALERTS_AT_ONCE]
    ]


def _find_due(endpoint: str, world: World) -> DiagnosisChanged | None:
    diagnosis = world.state.load_diagnosis(endpoint)
    if diagnosis is None or not is_watched(diagnosis, world.now()):
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
