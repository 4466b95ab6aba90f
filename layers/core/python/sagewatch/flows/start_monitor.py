"""A window of traffic is over: the job that looks at its data is started. Only endpoints of monitors.yml."""

from __future__ import annotations

import msgspec

from sagewatch.events import Fact, MonitorDue
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.ingest_report import judge_and_tell
from sagewatch.flows.monitor_run import Started, build_workshop, start_run
from sagewatch.flows.owed_findings import load_told
from sagewatch.monitoring.execution import build_lost_run
from sagewatch.monitoring.policy import name_schedule
from sagewatch.monitoring.window import Span, choose_span
from sagewatch.observability import get_logger
from sagewatch.report.failure import Failure
from sagewatch.world import World


def start_monitor(fact: Fact, world: World) -> None:
    """Start the run of the latest window that is over, or say why there is none."""
    if not isinstance(fact, MonitorDue):
        return
    watched = world.monitors.endpoints.get(fact.endpoint)
    if watched is None or watched.quality is None:
        get_logger().warning("monitor_ignored", endpoint=fact.endpoint, reason="not_in_monitors")
        return
    span = choose_span(fact.at, watched.quality.every)
    started = start_run(fact.endpoint, watched.quality, span, build_workshop(world))
    if isinstance(started, Started):
        get_logger().info("monitor_started", endpoint=fact.endpoint, job=started.job)
    else:
        _tell_loss(fact.endpoint, span, started, world)
    _note_window(fact.endpoint, span, world)


def _tell_loss(endpoint: str, span: Span, failure: Failure, world: World) -> None:
    """A job that never was sends no event: what it would have told is told here."""
    schedule = name_schedule(endpoint)
    get_logger().warning("monitor_not_started", endpoint=endpoint, reason=failure.code)
    watch = world.state.load_watch(schedule, world.now())
    if span.start < watch.since:
        # Nobody watched yet when this window began; that it is empty is nobody's loss.
        return
    run = build_lost_run(schedule, endpoint, world.now(), failure.next_step, span)
    if run.job not in load_told(schedule, world).judged:
        retry_conflicts(lambda: judge_and_tell(run, failure, world))


def _note_window(endpoint: str, span: Span, world: World) -> None:
    def note() -> None:
        watch = world.state.load_watch(name_schedule(endpoint), world.now())
        last = max(span.end, watch.last_end or span.end)
        world.state.save_watch(msgspec.structs.replace(watch, last_end=last))

    retry_conflicts(note)
