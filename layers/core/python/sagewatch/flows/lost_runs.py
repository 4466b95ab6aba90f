"""What no event tells of monitoring: executions that failed without a job, and schedules that stopped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from sagewatch.errors import RefusedError, RetryError
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.ingest_report import judge_and_tell
from sagewatch.flows.owed_findings import load_told, tell_owed
from sagewatch.monitoring.execution import (
    STOPPED,
    Watch,
    build_stopped,
    build_stopped_run,
    find_window,
    judge_rhythm,
    read_lost_run,
)
from sagewatch.monitoring.policy import (
    MODEL_MONITOR,
    Quality,
    find_stage,
    fold_stage,
    is_of_another_stage,
    name_schedule,
)
from sagewatch.observability import get_logger
from sagewatch.report.episode import JOB_FAILED
from sagewatch.report.failure import Failure, classify_failure
from sagewatch.report.schedule import end_unjudged
from sagewatch.world import World

LOOKED_BACK = timedelta(days=2)
LOOKS_AGAIN = timedelta(hours=26)
"""SageMaker's schedules look once a day at the least: what has not for longer does so no more."""
_RUNS = frozenset({"Scheduled", "Pending"})
_NAME = "MonitoringScheduleName"
_DATA = "DataQuality"


def notice_lost_runs(endpoint: str, quality: Quality, world: World) -> None:
    """Find what an endpoint's schedules did not do; trouble in asking waits for the next minute."""
    try:
        if quality.scheduler == MODEL_MONITOR:
            _ask_sagemaker(endpoint, quality, world)
        else:
            _ask_the_clock(endpoint, quality, world)
    except (RetryError, RefusedError) as error:
        get_logger().warning("schedules_not_asked", endpoint=endpoint, reason=str(error))


def end_unwatched(endpoint: str, world: World) -> None:
    """Where monitors.yml asks for no quality (any more), end what was found: nothing else ever would.

    Not before whoever looks at the endpoint all the same, a schedule that was not removed, has had its turn.
    """
    schedule = name_schedule(endpoint)

    def attempt() -> bool:
        state, now = load_told(schedule, world), world.now()
        if not state.open or (state.last_ended_at is not None and now < state.last_ended_at + LOOKS_AGAIN):
            return False
        ended = end_unjudged(state, now)
        world.state.save_schedule(ended)
        tell_owed(msgspec.structs.replace(ended, version=state.version + 1), world)
        return True

    if retry_conflicts(attempt):
        get_logger().info("quality_no_longer_judged", endpoint=endpoint, schedule=schedule)


def _ask_the_clock(endpoint: str, quality: Quality, world: World) -> None:
    """Our own schedule wakes ``start_monitor``; when nothing was started for long, it does not."""
    watch = _load_watch(name_schedule(endpoint), world)
    failure = judge_rhythm(watch, quality.every, world.now())
    if failure is not None:
        _tell_stopped(watch.schedule, endpoint, failure, world)


def _ask_sagemaker(endpoint: str, quality: Quality, world: World) -> None:
    if world.schedules is None:
        return
    name = name_schedule(endpoint)
    watch = _load_watch(name, world)
    since = max(watch.since, world.now() - LOOKED_BACK)
    found = {str(row[_NAME]): row for row in world.schedules.list_monitoring_schedules(endpoint)}
    own = _Own(endpoint, find_stage(world.settings.evidence_bucket), found, watch.lent)
    rows = own.pick(world.schedules.list_monitoring_executions(endpoint, since))
    lost = [row for row in rows if _is_news(row, world)]
    # What else ran tells which windows they had to look at: asked for only where there is news.
    ran = world.schedules.list_monitoring_executions(endpoint, since, failed=False) if lost else []
    for row in sorted(lost, key=lambda one: one["ScheduledTime"]):
        _tell(row, own.pick(ran), quality, world)
    named = {here: row for one, row in found.items() if (here := own.name(one))}
    for schedule, row in named.items():
        if row["MonitoringScheduleStatus"] not in _RUNS:
            _tell_stopped(schedule, endpoint, build_stopped(), world)
    # A schedule that was never made has as long as one that stopped: first comes the stack, then the baseline.
    failure = judge_rhythm(watch, quality.every, world.now())
    # What looks at the endpoint's model, bias or attributions does not look at its data.
    looked_at = any(row.get("MonitoringType", _DATA) == _DATA for row in named.values())
    if not looked_at and failure is not None:
        _tell_stopped(name, endpoint, failure, world)


class _Own:
    """An endpoint's schedules as this stage sees them: without those of other stages, its own by its name here."""

    def __init__(self, endpoint: str, stage: str, there: Collection[str], lent: Collection[str]) -> None:
        self._endpoint, self._stage, self._there, self._lent = endpoint, stage, there, lent

    def name(self, schedule: str) -> str:
        """What the schedule is called here; empty where another stage made it."""
        theirs = is_of_another_stage(schedule, self._endpoint, self._stage, self._there)
        if theirs or schedule in self._lent:
            return ""
        return fold_stage(schedule, self._endpoint, self._stage)

    def pick(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The runs of these schedules."""
        return [{**row, _NAME: here} for row in rows if (here := self.name(str(row[_NAME])))]


def _is_news(row: Mapping[str, Any], world: World) -> bool:
    """Whether an execution had no job, and was not judged before."""
    run = read_lost_run(row)
    return run is not None and run.job not in load_told(run.schedule, world).judged


def _tell(row: Mapping[str, Any], ran: Sequence[Mapping[str, Any]], quality: Quality, world: World) -> None:
    state = world.state.load_schedule(str(row[_NAME]))
    window = find_window(row, ran, state.last_end_job, state.last_end, quality.every)
    run = read_lost_run(row, window)
    if run is None:
        return
    failure = classify_failure("Failed", run.message)
    judged = retry_conflicts(lambda: judge_and_tell(run, failure, world))
    get_logger().info(
        "lost_run_judged",
        job=run.job,
        endpoint=run.endpoint,
        decision=failure.code,
        reason=judged.reason,
    )


def _tell_stopped(schedule: str, endpoint: str, failure: Failure, world: World) -> None:
    """Unless it is known: the incident stays open until a run tells otherwise."""
    open_ = load_told(schedule, world).open.get(JOB_FAILED)
    if open_ is not None and STOPPED in open_.counts:
        return
    run = build_stopped_run(schedule, endpoint, world.now(), failure.next_step)
    retry_conflicts(lambda: judge_and_tell(run, failure, world))
    get_logger().warning("schedule_stopped", endpoint=endpoint, schedule=schedule)


def _load_watch(schedule: str, world: World) -> Watch:
    """What is known of the rhythm; from the first look on, it is."""
    watch = world.state.load_watch(schedule, world.now())
    if not watch.version:
        world.state.save_watch(watch)
    return watch
