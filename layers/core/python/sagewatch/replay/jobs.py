"""The monitoring jobs of a recording: what ``ingest_report`` read of the outside world, as files beside the events.

``jobs/JOB.json`` says what the job was and what is kept of it; the files of its report lie in ``jobs/JOB/``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.ports import Objects
from sagewatch.replay.scene import find_beside, read_beside

NOT_KEPT = "it and its report are no part of the recording"
ELSEWHERE = "it is of another account or region"


class Location(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """Where something lies in S3, and where the job saw it."""

    s3_uri: str = ""
    local_path: str = ""
    s3_data_distribution_type: str = ""


class JobInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """What the job read."""

    s3_input: Location = Location()


class JobOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """What the job wrote."""

    output_name: str = ""
    s3_output: Location = Location()


class JobOutputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """All that the job wrote."""

    outputs: tuple[JobOutput, ...] = ()


class Cluster(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How many instances shared the work."""

    instance_count: int = 1


class JobResources(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """On what the job ran."""

    cluster_config: Cluster = Cluster()


class JobDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """DescribeProcessingJob, without whatever ``recognise_run`` does not look at: image, role, network, keys, tags."""

    processing_job_name: str
    processing_job_status: str
    monitoring_schedule_arn: str = ""
    environment: dict[str, str] = {}
    exit_message: str = ""
    failure_reason: str = ""
    processing_end_time: datetime | None = None
    processing_inputs: tuple[JobInput, ...] = ()
    processing_output_config: JobOutputs = JobOutputs()
    processing_resources: JobResources = JobResources()


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``jobs/JOB.json``.

    Attributes
    ----------
    description
        None where SageMaker did not tell.
    report_uri
        Where the report lay; empty where the job has none.
    files
        Names of the report's files that are kept.
    left_out
        Those that are not, and why.
    unplayed
        Why the job cannot be played; empty where it can.
    """

    schema: int = 1
    name: str
    description: JobDescription | None = None
    report_uri: str = ""
    files: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    unplayed: str = ""


class KeptJob(msgspec.Struct, frozen=True):
    """A job with the files of its report, by name."""

    record: JobRecord
    files: dict[str, bytes] = {}


def write_jobs(folder: Path, jobs: Iterable[KeptJob]) -> None:
    """Write jobs and reports; what an earlier recording kept of the same job is replaced whole.

    Unless this one could not have the job, which AWS forgets and throttles: then the earlier one is the better.
    """
    for job in jobs:
        if job.record.unplayed and _is_kept(folder, job.record.name):
            continue
        report = folder / job.record.name
        report.mkdir(parents=True, exist_ok=True)
        for old in report.glob("*.json"):
            old.unlink()
        for name, body in job.files.items():
            (report / name).write_bytes(body)
        told = msgspec.json.format(msgspec.json.encode(job.record), indent=2)
        (folder / f"{job.record.name}.json").write_bytes(told + b"\n")


def _is_kept(folder: Path, name: str) -> bool:
    """Whether a job lies there that can be played."""
    try:
        return not _load_job(folder.parent, folder.name, f"{name}.json").record.unplayed
    except RejectedInputError:
        return False


def load_jobs(folder: Path, name: str, told_of: Container[str] | None = None) -> tuple[KeptJob, ...]:
    """The jobs of a recording; none where an older Sagewatch recorded.

    Parameters
    ----------
    folder
        Where the events lie.
    name
        What the scene calls the folder of jobs.
    told_of
        The jobs that the events tell of: whatever else lies in the folder is somebody's own. None: all are read.

    Raises
    ------
    RejectedInputError
        A file is none of a job's, or is missing, or lies outside.
    """
    paths = sorted(find_beside(folder, name).glob("*.json"))
    ours = [path.name for path in paths if told_of is None or path.stem in told_of]
    return tuple(_load_job(folder, name, file) for file in ours)


def _load_job(folder: Path, jobs: str, file: str) -> KeptJob:
    try:
        record = msgspec.json.decode(read_beside(folder, f"{jobs}/{file}"), type=JobRecord)
    except msgspec.MsgspecError as error:
        where = str(folder / jobs / file)
        raise RejectedInputError(f"is no recorded job: {error}", where=where) from None
    if f"{record.name}.json" != file:
        raise RejectedInputError("is another job's", where=str(folder / jobs / file), key="name")
    files = {name: read_beside(folder, f"{jobs}/{record.name}/{name}") for name in record.files}
    return KeptJob(record, files)


def stage_jobs(jobs: Iterable[KeptJob], sagemaker: MemorySageMaker, objects: Objects) -> dict[str, str]:
    """Put jobs and reports where the flows look for them; by name, why the others cannot be played."""
    unplayed = {}
    for job in jobs:
        record = job.record
        if record.unplayed or record.description is None:
            unplayed[record.name] = record.unplayed or NOT_KEPT
            continue
        described = msgspec.to_builtins(record.description)
        sagemaker.jobs[record.name] = {**described, "ProcessingJobName": record.name}
        bucket, _, prefix = record.report_uri.removeprefix("s3://").partition("/")
        for name, body in job.files.items():
            objects.put_object(bucket, f"{prefix.rstrip('/')}/{name}", body, "application/json")
    return unplayed
