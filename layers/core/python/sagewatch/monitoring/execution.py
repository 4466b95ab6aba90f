"""What a schedule itself says of its runs: the failures that no processing job, and so no event, tells of.

Source: SageMaker API reference, ListMonitoringExecutions; a window without captures is an execution that Failed
with "Job inputs had no data" and has no job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from sagewatch.monitoring.window import Span
from sagewatch.report.failure import Failure
from sagewatch.report.run import Run

STOPPED: Final = "schedule_stopped"
_KINDS: Final = {
    "DataQuality": "data-quality",
    "ModelQuality": "model-quality",
    "ModelBias": "bias",
    "ModelExplainability": "attribution",
}


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a schedule's rhythm.

    Attributes
    ----------
    since
        When it was first looked at: what was before is nobody's loss.
    last_end
        End of the latest window that a run was started for, or that had no data; None before the first.
    lent
        The endpoint's names without a stage, the cut one and the whole, that SageMaker's schedule of another stage has.
    """

    schedule: str
    since: datetime
    last_end: datetime | None = None
    lent: tuple[str, ...] = ()
    version: int = 0


def read_lost_run(execution: Mapping[str, Any], window: Span | None = None) -> Run | None:
    """The run that an execution without a job was to be; None where there is a job, which tells for itself.

    Parameters
    ----------
    execution
        One of ListMonitoringExecutions' summaries.
    window
        What it was to look at, where that is known: a summary does not tell, for a schedule may have offsets. Where it is
        not, the run has its place by when it was due.

    Examples
    --------
    >>> when = datetime(2026, 11, 21, 10, tzinfo=UTC)
    >>> run = read_lost_run({"MonitoringScheduleName": "s", "ScheduledTime": when, "LastModifiedTime": when,
    ...     "MonitoringExecutionStatus": "Failed", "FailureReason": "Job inputs had no data", "EndpointName": "churn"})
    >>> run.job, run.message
    ('s@2026-11-21T10:00:00+00:00', 'Job inputs had no data')
    """
    if execution.get("MonitoringExecutionStatus") != "Failed" or execution.get("ProcessingJobArn"):
        return None
    return _build_run(
        schedule=str(execution["MonitoringScheduleName"]),
        endpoint=str(execution.get("EndpointName", "")),
        at=execution["LastModifiedTime"].astimezone(UTC),
        kind=_KINDS.get(str(execution.get("MonitoringType")), "data-quality"),
        job=name_execution(execution),
        message=str(execution.get("FailureReason") or ""),
        window=window,
        due=execution["ScheduledTime"].astimezone(UTC),
    )


def name_execution(execution: Mapping[str, Any]) -> str:
    """The job of an execution; where it has none, what stands for it."""
    arn = str(execution.get("ProcessingJobArn") or "")
    return arn.rpartition("/")[2] or _name_lost(
        str(execution["MonitoringScheduleName"]), execution["ScheduledTime"]
    )


def find_window(
    execution: Mapping[str, Any],
    executions: Iterable[Mapping[str, Any]],
    known: str,
    end: datetime | None,
    every: timedelta,
) -> Span | None:
    """The window of an execution, from that of another one of its schedule: both are as far from when they were due.

    Parameters
    ----------
    known, end
        The job whose window is known, and where that ended.
    every
        The window's length.

    Examples
    --------
    >>> noon, hour = datetime(2026, 11, 21, 12, tzinfo=UTC), timedelta(hours=1)
    >>> seen = {"MonitoringScheduleName": "s", "ScheduledTime": noon, "ProcessingJobArn": "arn:aws:x:processing-job/j"}
    >>> lost = {"MonitoringScheduleName": "s", "ScheduledTime": noon + hour}
    >>> find_window(lost, [seen, lost], "j", noon - 6 * hour, hour).end == noon - 5 * hour
    True
    """
    if end is None:
        return None
    for one in executions:
        if name_execution(one) == known:
            until = end + (execution["ScheduledTime"] - one["ScheduledTime"])
            return Span(until - every, until)
    return None


def build_lost_run(schedule: str, endpoint: str, at: datetime, message: str, window: Span) -> Run:
    """A run of ours that was to look at a window and never began."""
    return _build_run(
        schedule=schedule, endpoint=endpoint, at=at, kind="data-quality",
        job=_name_lost(schedule, window.end), message=message, window=window,
    )  # fmt: skip


def build_stopped_run(schedule: str, endpoint: str, at: datetime, message: str) -> Run:
    """What stands for the runs of a schedule that stopped: it was to look at no one window."""
    return _build_run(
        schedule=schedule, endpoint=endpoint, at=at, kind="data-quality",
        job=_name_lost(schedule, at), message=message, window=None,
    )  # fmt: skip


def _name_lost(schedule: str, at: datetime) -> str:
    return f"{schedule}@{at.astimezone(UTC).isoformat()}"


def judge_rhythm(watch: Watch, every: timedelta, now: datetime) -> Failure | None:
    """Why a schedule counts as stopped: nothing was started for two windows beyond the one that is due.

    Examples
    --------
    >>> watch = Watch(schedule="s", since=datetime(2026, 11, 21, 0, tzinfo=UTC))
    >>> judge_rhythm(watch, timedelta(hours=1), datetime(2026, 11, 21, 2, tzinfo=UTC)) is None
    True
    >>> judge_rhythm(watch, timedelta(hours=1), datetime(2026, 11, 21, 3, 30, tzinfo=UTC)).code
    'schedule_stopped'
    """
    last = max(watch.since, watch.last_end or watch.since)
    return build_stopped() if now - last > 3 * every else None


def build_stopped() -> Failure:
    """The cause of a schedule that is there and does not run, or is not there at all."""
    return Failure(
        STOPPED,
        "See `sagewatch monitor list`; `sagewatch monitor create ENDPOINT` makes the schedule (again).",
    )


def _build_run(
    *,
    schedule: str,
    endpoint: str,
    at: datetime,
    kind: str,
    job: str,
    message: str,
    window: Span | None,
    due: datetime | None = None,
) -> Run:
    return Run(
        job=job,
        kind=kind,
        schedule=schedule,
        endpoint=endpoint,
        variant="AllTraffic",
        status="Failed",
        message=message,
        report_uri="",
        ended_at=at,
        start=window.start if window else None,
        end=window.end if window else None,
        due=due,
    )
