"""A monitoring job is over: its report becomes metrics and findings, its failure a cause and a next step.

The event is a hint; the job is described before anything is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from sagewatch.datapoints import Datapoints
from sagewatch.errors import RefusedError, RejectedInputError, RetryError
from sagewatch.events import Fact, JobChanged
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.owed_findings import load_told, tell_owed
from sagewatch.flows.schedule_stage import is_anothers, note_owner
from sagewatch.monitoring.job import OWN_MONITORS
from sagewatch.monitoring.policy import find_stage, fold_stage
from sagewatch.observability import get_logger
from sagewatch.place import Place
from sagewatch.quality.documents import CONSTRAINTS, STATISTICS
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.violations import FILE_NAMES, Violation, parse_violations
from sagewatch.report.failure import Failure, classify_failure, describe_missing_report
from sagewatch.report.judge import judge_run
from sagewatch.report.run import ENDED, STILL_RUNNING, NoRun, Run, recognise_run
from sagewatch.report.schedule import Judged
from sagewatch.world import World

_S3 = "s3://"
# How the message of a run begins that found something, AWS's and ours.
WITH_VIOLATIONS = "CompletedWithViolations"
# What one says that found nothing.
WITHOUT_VIOLATIONS = "Completed: Job completed successfully with no violations"
_MOST_ROWS = 1 << 53
_REPORT_FILES = (STATISTICS, CONSTRAINTS, "analysis.json")


def ingest_report(fact: Fact, world: World) -> None:
    """Judge the run that a finished job was, and say on the bus what it changes."""
    if not isinstance(fact, JobChanged):
        return
    if not _is_watched(fact.place, world):
        get_logger().debug("job_ignored", job=fact.job, reason="place_not_watched")
        return
    job = _describe(fact, world)
    if job is None:
        raise RetryError("job_not_visible_yet")
    found = recognise_run(job)
    if found == STILL_RUNNING and fact.status in ENDED:
        raise RetryError("job_not_ended_yet")  # the description lags behind the event
    run = _accept(found, fact.place, world)
    if isinstance(run, NoRun):
        get_logger().info("job_ignored", job=fact.job, reason=run.reason)
        return
    outcome = load_outcome(run, world)
    if outcome is None:
        get_logger().info("job_ignored", job=fact.job, reason="partial_profiles")
        return
    rows = load_rows(run, world)
    judged = retry_conflicts(lambda: judge_and_tell(run, outcome, world, rows))
    get_logger().info(
        "run_judged",
        job=run.job,
        endpoint=run.endpoint,
        variant=run.variant,
        kind=run.kind,
        decision=outcome.code if isinstance(outcome, Failure) else run.status,
        reason=judged.reason,
        count=0 if isinstance(outcome, Failure) else len(outcome) + judged.collapsed,
    )


def _is_watched(place: Place | None, world: World) -> bool:
    """Whether any endpoint of monitors.yml is there: nobody else's jobs are looked at."""
    return place in (None, world.place) or (
        world.elsewhere is not None
        and any(world.find_place(endpoint) == place for endpoint in world.monitors.endpoints)
    )


def _describe(fact: JobChanged, world: World) -> dict[str, Any] | None:
    if fact.place is None or fact.place == world.place or world.elsewhere is None:
        return world.jobs.describe_processing_job(fact.job)
    return world.elsewhere.describe_job_at(fact.place, fact.job)


def _accept(found: Run | NoRun, place: Place | None, world: World) -> Run | NoRun:
    """The run by its names here, or why it is none that this stage judges."""
    if isinstance(found, NoRun):
        return found
    run = _name_by_place(found, place, world)
    if run.endpoint not in world.monitors.endpoints:
        return NoRun("endpoint_not_watched")
    note_owner(found.schedule, run, world)
    return NoRun("of_another_stage") if is_anothers(run, world) else run


def _name_by_place(run: Run, place: Place | None, world: World) -> Run:
    """The run under the names that endpoint and schedule have here: two accounts may have either alike."""
    schedule = fold_stage(run.schedule, run.endpoint, find_stage(world.settings.evidence_bucket))
    names = {
        "endpoint": world.name_endpoint(run.endpoint, place),
        "schedule": world.name_endpoint(schedule, place),
    }
    return msgspec.structs.replace(run, **names)


def load_outcome(run: Run, world: World) -> list[Violation] | Failure | None:
    """The violations of a run that completed, or why it failed; None where it left shares of a report, and no report."""
    if run.status != "Completed":
        return classify_failure(run.status, run.message)
    try:
        found = _read_violations(run, world)
        share = found is None and _is_share(run, world)
    except RejectedInputError as error:
        get_logger().warning("report_unreadable", where=error.where, key=error.key, reason=error.reason)
        return Failure("parse", f"The report cannot be read: {error}.")
    except RefusedError as error:
        get_logger().warning("report_refused", where=run.report_uri, reason=error.code)
        return describe_missing_report(run.report_uri, str(error))
    if found is None and run.message.startswith(WITH_VIOLATIONS):
        get_logger().warning("report_missing", where=run.report_uri)
        return describe_missing_report(run.report_uri or "no place at all", "there is no violations file")
    if share:
        return None
    # AWS writes no file where nothing is violated.
    return found or []


def _is_share(run: Run, world: World) -> bool:
    """Whether instances with data of their own left no report of the whole: a share of ours is a partial profile alone.

    AWS's analyzer is one program on all instances: its report is of all of them.
    """
    if not run.sharded or run.message.startswith(WITHOUT_VIOLATIONS):
        return False
    return _open_report(run, _REPORT_FILES, world) is None


def _read_violations(run: Run, world: World) -> list[Violation] | None:
    found = _open_report(run, FILE_NAMES, world)
    return None if found is None else parse_violations(found[1].read(), found[0]).violations


def _open_report(run: Run, names: Sequence[str], world: World) -> tuple[str, BinaryIO] | None:
    """The first of these files that the run left, with its place; None where it left none of them."""
    if not run.report_uri.startswith(_S3):
        return None
    bucket, _, prefix = run.report_uri.removeprefix(_S3).partition("/")
    for name in names:
        key = f"{prefix.rstrip('/')}/{name}" if prefix else name
        stream = world.objects.open_object(bucket, key)
        if stream is not None:
            return f"{_S3}{bucket}/{key}", stream
    return None


def load_rows(run: Run, world: World) -> int | None:
    """How many rows the run saw; None where its report does not tell. AWS's analyzer and ours write it alike."""
    if run.status != "Completed" or run.kind != "data-quality":
        return None
    try:
        found = _open_report(run, (STATISTICS,), world)
        rows = parse_statistics(found[1].read(), found[0]).dataset.item_count if found else 0
    except RejectedInputError as error:
        get_logger().warning("report_unreadable", where=error.where, key=error.key, reason=error.reason)
        return None
    except RefusedError as error:
        get_logger().warning("report_refused", where=run.report_uri, reason=error.code)
        return None
    # A run without rows fails; a file that says 0, or less, or more than anybody counts, does not say.
    return rows if 0 < rows < _MOST_ROWS else None


def judge_and_tell(
    run: Run, outcome: list[Violation] | Failure, world: World, rows: int | None = None
) -> Judged:
    """Fold a run into what is known of its schedule, and say on the bus what it changes."""
    state = load_told(run.schedule, world)
    watched = world.monitors.endpoints.get(run.endpoint)
    quality = watched.quality if watched else None
    patience = quality.patience if quality else Datapoints()
    # Ours looks at whole windows: another length is somebody's own. SageMaker's schedules have their own lengths.
    every = quality.every if quality and run.job.startswith(OWN_MONITORS) else None
    judged = judge_run(run, outcome, state, world.find_place(run.endpoint), patience, rows, every)
    after = msgspec.structs.replace(judged.state, owed=judged.findings)
    if after != state:
        world.state.save_schedule(after)
    if judged.is_new:
        _measure(run, outcome, judged, world)
    if after.owed:
        tell_owed(msgspec.structs.replace(after, version=state.version + 1), world)
    return judged


def _measure(run: Run, outcome: list[Violation] | Failure, judged: Judged, world: World) -> None:
    """Once a run; how many violations only where somebody looked, for 0 says that all is well."""
    values = {"failed_runs": float(isinstance(outcome, Failure))}
    if not isinstance(outcome, Failure) and not run.merge:
        values["violation_count"] = float(len(outcome) + judged.collapsed)
    world.metrics.put(values, "Count", Endpoint=run.endpoint, MonitoringSchedule=run.schedule, Kind=run.kind)
