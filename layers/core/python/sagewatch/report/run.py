"""Which monitoring job this was, read from DescribeProcessingJob: the event itself is only a hint.

Source: DG "Schedule monitoring jobs" and "Container contract inputs"; names and shapes as the jobs of four
public accounts have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sagewatch.moment import read_moment

OWN_JOBS = "sagewatch-explain-"
# What only a job has that compares: baselining has neither.
_MONITORS = {"baseline_constraints", "baseline_statistics", "THRESHOLD"}
_MERGE = re.compile(r"^groundtruth-merge-\d{12}-")
# SageMaker names the jobs of a schedule by the minute that they were due: its ScheduledTime.
_DUE = re.compile(r"^(?:model-(?:[a-z]+-)?monitoring|groundtruth-merge)-(\d{12})-[0-9a-f]+$")
_NEVER = datetime.min.replace(tzinfo=UTC)
_SCHEDULE_ARN = re.compile(r":monitoring-schedule/(?P<name>[^/]+)$")
# Where a schedule mounts captures, and captures joined with ground truth.
_MOUNTED_PATH = re.compile(r"/(?:endpoint|input_data)/(?P<endpoint>[^/]+)/(?P<variant>[^/]+)(?:/|$)")
# Where captures lie, in the bucket and in the container: .../<endpoint>/<variant>/yyyy/mm/dd/hh.
_STREAM_PATH = re.compile(r"/(?P<endpoint>[^/]+)/(?P<variant>[^/]+)/\d{4}/\d\d/\d\d(?:/|$)")
# A captured batch transform's folders stand where a variant's name would.
_SIDES = {"input", "output"}
_KIND_OF_PREFIX = {
    "model-quality-monitoring": "model-quality",
    "model-bias-monitoring": "bias",
    "model-explainability-monitoring": "attribution",
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a monitor that is over.

    Attributes
    ----------
    kind
        ``data-quality``, ``model-quality``, ``bias`` or ``attribution``.
    schedule
        Name of the schedule; the job's own name where it was started by hand.
    endpoint, variant
        Whose traffic was looked at; a monitor on batch transforms has no endpoint, and goes by its schedule's name.
    start, end
        The window of traffic; None where the job had none.
    due
        When SageMaker's schedule was to start it; None where another did, or somebody.
    report_uri
        Where the report lies in S3.
    merge
        True for the job that only joins ground truth to captures: its failure matters, its success does not.
    sharded
        True where each instance saw a share of the data: without a report what they left waits for a merge.
    """

    job: str
    kind: str
    schedule: str
    endpoint: str
    variant: str
    status: str
    message: str
    report_uri: str
    ended_at: datetime
    start: datetime | None = None
    end: datetime | None = None
    due: datetime | None = None
    merge: bool = False
    sharded: bool = False

    @property
    def has_job(self) -> bool:
        """Whether a job ran: what stands for one that never began has a time in its name, which no job's has."""
        return "@" not in self.job


class NoRun(msgspec.Struct, frozen=True):
    """A processing job that is no monitor's, and why we think so."""

    reason: str


ENDED = frozenset({"Completed", "Failed", "Stopped"})
STILL_RUNNING = NoRun("still_running")


def recognise_run(job: Mapping[str, Any]) -> Run | NoRun:
    """The monitoring run that a processing job was.

    Parameters
    ----------
    job
        The answer of DescribeProcessingJob.

    Examples
    --------
    >>> recognise_run({"ProcessingJobName": "sagewatch-explain-1", "ProcessingJobStatus": "Completed"})
    NoRun(reason='saliency_job')
    """
    name = str(job.get("ProcessingJobName", ""))
    environment: Mapping[str, str] = job.get("Environment") or {}
    if name.startswith(OWN_JOBS):
        return NoRun("saliency_job")
    if job.get("ProcessingJobStatus") not in ENDED:
        return STILL_RUNNING
    schedule = _find_schedule(job, environment)
    if schedule is None and not _MONITORS & environment.keys():
        return NoRun("baselining" if "dataset_format" in environment else "no_monitor")
    report_uri = _find_report(job)
    schedule = _spell_schedule(schedule or name, report_uri)
    endpoint, variant = _find_stream(job, environment, schedule, report_uri)
    ended_at = _read_time(job.get("ProcessingEndTime") or job.get("LastModifiedTime")) or _NEVER
    return Run(
        job=name,
        kind=_find_kind(name, environment),
        schedule=schedule,
        endpoint=endpoint,
        variant=variant,
        status=str(job["ProcessingJobStatus"]),
        message=join_message(str(job.get("ExitMessage") or ""), str(job.get("FailureReason") or "")),
        report_uri=report_uri,
        ended_at=ended_at,
        start=_read_time(environment.get("start_time")),
        end=_read_time(environment.get("end_time")),
        due=_read_due(name, ended_at),
        merge=bool(_MERGE.match(name)),
        sharded=_is_sharded(job),
    )


def _read_due(job: str, ended_at: datetime) -> datetime | None:
    """When SageMaker's name of a job says that it was due; no job was due after its own end."""
    match = _DUE.match(job)
    try:
        due = datetime.strptime(match[1], "%Y%m%d%H%M").replace(tzinfo=UTC) if match else None
    except ValueError:
        return None
    return due if due is not None and due <= ended_at else None


def _is_sharded(job: Mapping[str, Any]) -> bool:
    cluster = (job.get("ProcessingResources") or {}).get("ClusterConfig") or {}
    inputs = [one.get("S3Input") or {} for one in job.get("ProcessingInputs") or []]
    return cluster.get("InstanceCount", 1) > 1 and any(
        one.get("S3DataDistributionType") == "ShardedByS3Key" for one in inputs
    )


def _find_schedule(job: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    # The ARN has the name in lower case; the environment has it as it was given.
    if environment.get("sagemaker_monitoring_schedule_name"):
        return environment["sagemaker_monitoring_schedule_name"]
    match = _SCHEDULE_ARN.search(str(job.get("MonitoringScheduleArn", "")))
    return match["name"] if match else None


def join_message(said: str, reason: str) -> str:
    """What the container said, and what SageMaker adds to it: "AlgorithmError: See job logs" alone names no cause."""
    return reason if said in reason else " ".join(filter(None, [said, reason]))


def _find_kind(name: str, environment: Mapping[str, str]) -> str:
    for prefix, kind in _KIND_OF_PREFIX.items():
        if name.startswith(prefix):
            return kind
    if environment.get("analysis_type") == "MODEL_QUALITY" or _MERGE.match(name):
        return "model-quality"
    return "data-quality"


def _spell_schedule(schedule: str, report_uri: str) -> str:
    """The name as it was given: the report's path has it, where the ARN has lower case."""
    return next((part for part in report_uri.split("/") if part.lower() == schedule.lower()), schedule)


def _find_stream(
    job: Mapping[str, Any], environment: Mapping[str, str], schedule: str, report_uri: str
) -> tuple[str, str]:
    """Endpoint and variant, from the environment and the mounted captures.

    Clarify's jobs have their settings in a file, not in the environment: there the report's path names the endpoint,
    if captures of that name were read.
    """
    told = environment.get("sagemaker_endpoint_name", "")
    parts = report_uri.split("/")
    before = parts[parts.index(schedule) - 1] if schedule in parts else ""
    mounted = [item.get("S3Input") or {} for item in job.get("ProcessingInputs") or []]
    for pattern, key, wanted in (
        (_MOUNTED_PATH, "LocalPath", told),
        (_STREAM_PATH, "LocalPath", told or before),
        (_STREAM_PATH, "S3Uri", told or before),
    ):
        for item in mounted:
            match = pattern.search(str(item.get(key) or ""))
            if (
                match
                and match["variant"] not in _SIDES
                and (wanted == match["endpoint"] or (not wanted and pattern is _MOUNTED_PATH))
            ):
                return match["endpoint"], match["variant"]
    return told or schedule, "AllTraffic"


def _find_report(job: Mapping[str, Any]) -> str:
    outputs = (job.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    named = {item.get("OutputName"): item for item in outputs}
    for name in ("result", "monitoring_output"):
        if name in named:
            outputs = [named[name]]
            break
    return str((outputs[0].get("S3Output") or {}).get("S3Uri", "")) if outputs else ""


def _read_time(value: object) -> datetime | None:
    """A time as the API, the event or the environment spells it; the DG's sample has spaces in it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)  # noqa: PLR2004 (ms)
    return read_moment(value.replace(" ", "")) if isinstance(value, str) else None
