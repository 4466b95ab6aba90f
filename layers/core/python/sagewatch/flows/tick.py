"""The minute's round: whatever an event should have woken and did not is woken now.

Detectors are asked what the clock alone tells: an hour that is over, captures that stay away. It acts on
nothing itself: only ``advance_diagnosis`` may touch an endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sagewatch.diagnose.afterwards import is_watched
from sagewatch.diagnose.model import Diagnosis
from sagewatch.errors import ConflictError, RejectedInputError, SagewatchError, describe_defect, find_refusal
from sagewatch.events import AlertDue, CanaryDue, DiagnosisChanged, Fact, Ticked
from sagewatch.finding import Stream
from sagewatch.flows.first_capture import notice_first_capture
from sagewatch.flows.incident_changes import build_diagnosis_change, build_due
from sagewatch.flows.ingest_capture import evaluate_stream
from sagewatch.flows.lost_runs import end_unwatched, notice_lost_runs
from sagewatch.flows.manage_incident import finish_clearing
from sagewatch.flows.owed_diagnoses import find_owed, list_candidates
from sagewatch.flows.synthetic_finding import send_canary
from sagewatch.incident.page_turn import is_worth_waking
from sagewatch.observability import get_logger
from sagewatch.state.incidents import INCIDENTS, OPEN_INCIDENTS
from sagewatch.world import World

if TYPE_CHECKING:
    from types import TracebackType

ALERTS_AT_ONCE = 500
"""More than that are told by the next ticks: a tick has less than a minute."""

NAMED_FOR = timedelta(hours=6)
"""An incident that cannot be read is named by the tick for so long; the list of all names it ever after."""


def tick(fact: Fact, world: World) -> None:
    """Wake every diagnosis that is under way, and judge every stream by the clock; send the canary when it is due."""
    if isinstance(fact, CanaryDue):
        send_canary(fact, world)
        return
    if not isinstance(fact, Ticked):
        return
    attempts = _Attempts()
    # What people and diagnoses wait for goes first: no stream, however broken, stands before it.
    with attempts.at("alerts"):
        _publish(_list_due_alerts(world, attempts), world)
    with attempts.at("pages"):
        _publish(list(_list_owed_pages(world, attempts)), world)
    for silence_id in _list_lost_silences(world, attempts):
        with attempts.at("silence"):
            raise RejectedInputError("cannot be read, and silences nothing", where="silence", key=silence_id)
    now = world.now()
    for incident_id in _list_lost_incidents(now, world, attempts):
        with attempts.at("incident"):
            raise RejectedInputError("cannot be read", where=INCIDENTS, key=incident_id)
    diagnoses = _load_diagnoses(world, attempts)
    with attempts.at("diagnoses"):
        _publish(
            [build_diagnosis_change(one, "due", world.place) for one in diagnoses if is_watched(one, now)],
            world,
        )
    with attempts.at("owed_diagnoses"):
        _publish(_list_owed(world, attempts), world)
    with attempts.at("overdue"):
        _measure_overdue(diagnoses, world)
    for endpoint in _take_turns(sorted(world.monitors.endpoints), now):
        watched = world.monitors.endpoints[endpoint]
        with attempts.at("streams", endpoint):
            streams = world.state.list_streams(endpoint)
            for stream in streams:
                with attempts.at("stream", endpoint):
                    _judge_by_the_clock(stream, world)
            notice_first_capture(endpoint, watched.detectors.no_data, world, seen=bool(streams))
        with attempts.at("lost_runs", endpoint):
            if watched.quality is not None:
                notice_lost_runs(endpoint, watched.quality, world)
            else:
                end_unwatched(endpoint, world)
    attempts.finish()


class _Attempts:
    """Parts of the round: one that fails is logged and keeps no other waiting, and the round fails in the end."""

    def __init__(self) -> None:
        self._failures: list[Exception] = []

    def at(self, part: str, endpoint: str = "") -> _Part:
        """Try a part: whatever it fails by is kept for the end."""
        return _Part(part, endpoint, self._failures)

    def finish(self) -> None:
        """Raise what came first: the tick comes again, and then is a dead letter, which an alarm looks at."""
        if self._failures:
            raise self._failures[0]


class _Part:
    """One part of the round: what AWS does not do now, a row that cannot be read or written, or a defect of ours."""

    def __init__(self, part: str, endpoint: str, failures: list[Exception]) -> None:
        self._part, self._endpoint, self._failures = part, endpoint, failures

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        get_logger().warning(
            "tick_part_failed", part=self._part, endpoint=self._endpoint, reason=_describe(error)
        )
        self._failures.append(error)
        return True


def _describe(error: Exception) -> str:
    """What AWS said no to and its code, what was raised on purpose in its words, or a defect's kind and its place."""
    refused = find_refusal(error)
    if refused is not None:
        return f"{refused.operation}: {refused.code}"
    # The words of what nobody foresaw may hold anything.
    foreseen = isinstance(error, SagewatchError | msgspec.MsgspecError)
    return str(error) if foreseen else describe_defect(error)


def _publish(facts: Sequence[DiagnosisChanged | AlertDue], world: World) -> None:
    if facts:
        world.bus.publish(facts, world.now())
        get_logger().debug("ticked", count=len(facts))


def _load_diagnoses(world: World, attempts: _Attempts) -> list[Diagnosis]:
    """The latest diagnosis of every endpoint that has one.

    An endpoint may be taken out of monitors.yml while it records: it is looked after until it is its owner's.
    """
    endpoints = set(world.monitors.endpoints)
    with attempts.at("diagnosed_endpoints"):
        endpoints |= set(world.state.list_diagnosed())
    found = []
    for endpoint in sorted(endpoints):
        with attempts.at("diagnosis", endpoint):
            if (diagnosis := world.state.load_diagnosis(endpoint)) is not None:
                found.append(diagnosis)
    return found


def _list_owed(world: World, attempts: _Attempts) -> list[DiagnosisChanged]:
    """What wakes diagnoses that were forgotten; an incident that cannot be read keeps no other waiting."""
    owed = []
    for row in list_candidates(world):
        with attempts.at("owed_diagnosis", row.endpoint):
            if (fact := find_owed(row, world)) is not None:
                owed.append(fact)
    return owed


def _take_turns(endpoints: Sequence[str], now: datetime) -> list[str]:
    """The endpoints, each minute begun with the next: a round that is cut off leaves out others every time."""
    first = int(now.timestamp()) // 60 % max(len(endpoints), 1)
    return [*endpoints[first:], *endpoints[:first]]


def _measure_overdue(diagnoses: Sequence[Diagnosis], world: World) -> None:
    """Say by how much the most overdue diagnosis is late: an endpoint may still be recording. An alarm looks at it."""
    now = world.now()
    late = [(now - one.deadline).total_seconds() for one in diagnoses if not one.phase.over]
    world.metrics.put({"DiagnosisOverdue": max([0.0, *late])}, "Seconds", EventBus=world.settings.event_bus)


def _judge_by_the_clock(stream: Stream, world: World) -> None:
    try:
        evaluate_stream(stream, world)
    except ConflictError:
        # A capture file was folded at this very moment, with the clock in view: nothing is left to judge.
        get_logger().debug("stream_judged_by_another", endpoint=stream.endpoint, variant=stream.variant)


def _list_due_alerts(world: World, attempts: _Attempts) -> list[AlertDue]:
    """The incidents whose time it is, the longest overdue first."""
    now, hold = world.now(), world.monitors.flapping.hold
    found, unreadable = world.alerts.read_due()
    for row in found:
        if row.cleared_at is not None and now >= row.cleared_at + hold:
            with attempts.at("clearing", row.labels["endpoint"]):
                finish_clearing(row.incident_id, world)
    rows = [row for row in world.alerts.list_due() if row.due_at is not None and row.due_at <= now]
    rows.sort(key=lambda row: (row.due_at or now, row.incident_id))
    mended = list(_wake_unreadable(unreadable, world, attempts))
    return [*(build_due(row) for row in rows), *mended][:ALERTS_AT_ONCE]


def _list_owed_pages(world: World, attempts: _Attempts) -> Iterator[AlertDue]:
    """Pages that a writer left half written, or crossed: whoever delivers the incident's alerts writes them again."""
    now = world.now()
    owed = sorted(page for page, turn in world.state.list_turns().items() if is_worth_waking(turn, now))
    for page in owed[:ALERTS_AT_ONCE]:
        with attempts.at("page"):
            if (incident := world.state.load_incident(page)) is not None:
                yield build_due(incident)


def _wake_unreadable(incident_ids: Sequence[str], world: World, attempts: _Attempts) -> Iterator[AlertDue]:
    """Have the incidents looked at whose rows among the due ones cannot be read: whoever looks writes the row anew."""
    for incident_id in incident_ids:
        with attempts.at("alert_row"):
            incident = world.state.load_incident(incident_id)
            if incident is None:
                raise RejectedInputError("cannot be read", where=OPEN_INCIDENTS, key=incident_id)
            get_logger().warning("alert_row_unreadable", incident_id=incident_id, endpoint=incident.endpoint)
            yield build_due(incident)


def _list_lost_incidents(now: datetime, world: World, attempts: _Attempts) -> list[str]:
    with attempts.at("incidents"):
        return world.state.read_incidents(now - NAMED_FOR)[1]
    return []


def _list_lost_silences(world: World, attempts: _Attempts) -> list[str]:
    with attempts.at("silences"):
        return world.alerts.list_unreadable_silences()
    return []
