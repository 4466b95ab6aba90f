"""What a recording keeps of its monitoring jobs: all that ``ingest_report`` reads of them, and no more.

The description loses what no flow looks at, messages become the bare word of their cause, and reports lose what
``redact_report`` takes out of every page. A file that is too large, or that may not be seen, is named with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sagewatch.errors import RefusedError, RejectedInputError, RetryError
from sagewatch.events.parse import read_place
from sagewatch.evidence.report_redaction import redact_report
from sagewatch.flows.ingest_report import WITH_VIOLATIONS, WITHOUT_VIOLATIONS
from sagewatch.flows.report_files import KEPT_AT_MOST, UNDERSTOOD
from sagewatch.flows.samples import list_sensitive
from sagewatch.ports import StoredObject
from sagewatch.quality.documents import STATISTICS
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.violations import FILE_NAMES, parse_violations
from sagewatch.replay.jobs import JobDescription, JobRecord, KeptJob
from sagewatch.replay.recording import Event
from sagewatch.replay.redaction import REDACTED
from sagewatch.replay.sagemaker import JOB_CHANGE, find_subject
from sagewatch.report.failure import name_cause
from sagewatch.report.run import OWN_JOBS, NoRun, Run, recognise_run
from sagewatch.world import World

_S3 = "s3://"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\.json")
# Of the environment: what names the run, and what only has to be there.
_READ = frozenset(
    {
        "sagemaker_monitoring_schedule_name",
        "sagemaker_endpoint_name",
        "start_time",
        "end_time",
        "analysis_type",
    }
)
# The run has read them, however they were spelled.
_TIMES = frozenset({"ProcessingEndTime", "LastModifiedTime"})
_LOOKED_FOR = frozenset({"baseline_constraints", "THRESHOLD", "dataset_format"})
# As little JSON as the report that it stands for.
_NO_JSON = b"withheld: no JSON, and the endpoint has sensitive fields\n"


def keep_jobs(events: Iterable[Event], world: World) -> list[KeptJob]:
    """What is kept of the jobs whose end the events tell of, by name; those of other places are not looked at.

    Parameters
    ----------
    world
        The stack's ports, with the monitors file that says which fields are sensitive. Of an endpoint that is not in it
        every field is.
    """
    names = {
        subject[1]
        for event in events
        if (subject := find_subject(event)) is not None
        and subject[0] == JOB_CHANGE
        and read_place(event) in (None, world.place)
    }
    ours = sorted(name for name in names if _JOB_NAME.fullmatch(name) and not name.startswith(OWN_JOBS))
    return _mark_overwritten([_keep(name, world) for name in ours])


def _keep(name: str, world: World) -> KeptJob:
    try:
        described = world.jobs.describe_processing_job(name)
        if described is None:
            return _give_up(name, "SageMaker does not know it any more")
        run = recognise_run(described)
        if isinstance(run, NoRun):
            if run.reason == "still_running":
                return _give_up(name, "it had not ended when it was recorded")
            status = str(described["ProcessingJobStatus"])
            plain = JobDescription(processing_job_name=name, processing_job_status=status)
            return KeptJob(JobRecord(name=name, description=plain))
        return _keep_report(run, pick_description(described, run), world)
    except RetryError as error:
        return _give_up(name, f"AWS did not show it when it was recorded ({error.reason})")
    except RefusedError as error:
        return _give_up(name, f"AWS did not show it to who recorded ({error.operation}: {error.code})")
    except msgspec.ValidationError as error:
        return _give_up(name, f"its description cannot be read ({error})")


def _mark_overwritten(jobs: list[KeptJob]) -> list[KeptJob]:
    """Of jobs that wrote to one place, the report is the last one's."""
    last: dict[str, tuple[datetime, str]] = {}
    for job in jobs:
        record = job.record
        if record.report_uri and record.description is not None:
            mark = (record.description.processing_end_time or _EPOCH, record.name)
            last[record.report_uri] = max(last.get(record.report_uri, mark), mark)
    by = {job.record.name: last[job.record.report_uri][1] for job in jobs if job.record.report_uri in last}
    return [
        job
        if by.get(job.record.name, job.record.name) == job.record.name
        else _give_up(job.record.name, f"{by[job.record.name]} wrote over its report")
        for job in jobs
    ]


def _give_up(name: str, reason: str) -> KeptJob:
    return KeptJob(JobRecord(name=name, unplayed=reason))


def pick_description(described: Mapping[str, Any], run: Run) -> JobDescription:
    """The description of a run, without what no flow looks at; of its message only the word of its cause.

    Raises
    ------
    msgspec.ValidationError
        It is not as AWS documents it.
    """
    timeless = {key: value for key, value in described.items() if key not in _TIMES}
    known = msgspec.convert(timeless, JobDescription)
    environment = {key: value for key, value in known.environment.items() if key in _READ}
    environment |= dict.fromkeys(known.environment.keys() & _LOOKED_FOR, REDACTED)
    message = name_cause(run.status, run.message)
    if run.status == "Completed":
        said = (WITH_VIOLATIONS, WITHOUT_VIOLATIONS)
        message = next((word for word in said if run.message.startswith(word)), "")
    return msgspec.structs.replace(
        known,
        environment=dict(sorted(environment.items())),
        exit_message=message,
        failure_reason="",
        processing_end_time=run.ended_at if run.ended_at > _EPOCH else None,
    )


def _keep_report(run: Run, description: JobDescription, world: World) -> KeptJob:
    record = JobRecord(name=run.job, description=description)
    bucket, _, prefix = run.report_uri.removeprefix(_S3).partition("/")
    folder = f"{prefix.rstrip('/')}/"
    if not run.report_uri.startswith(_S3):
        return KeptJob(record)
    if folder == "/":
        return _give_up(run.job, "its report lies at the top of a bucket, among everything else")
    # A job without start and end has no time at all: what was ever withheld of its endpoint is.
    sensitive = list_sensitive(run.endpoint, max(run.start or run.ended_at, _EPOCH), world)
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    for one in world.objects.describe_objects(bucket, folder):
        name = one.key.removeprefix(folder)
        if not _FILE_NAME.fullmatch(name):
            continue
        try:
            files[name] = _read_file(bucket, one, name, sensitive, world)
        except RejectedInputError as error:
            left_out[name] = error.reason
    missing = next((f"{name} {why}" for name, why in left_out.items() if _is_judged(name, run)), "")
    return KeptJob(
        msgspec.structs.replace(
            record, report_uri=run.report_uri, files=tuple(files), left_out=left_out, unplayed=missing
        ),
        files,
    )


def _is_judged(name: str, run: Run) -> bool:
    """Whether the run's judgement hangs on a file of its report."""
    judged = (*FILE_NAMES, STATISTICS) if run.kind == "data-quality" else FILE_NAMES
    return run.status == "Completed" and name in judged


def _read_file(bucket: str, one: StoredObject, name: str, sensitive: tuple[str, ...], world: World) -> bytes:
    """A file of the report as it may be kept.

    Raises
    ------
    RejectedInputError
        It may not, or is gone; says why.
    """
    if one.size_bytes > KEPT_AT_MOST:
        size, most = f"{one.size_bytes / 2**20:.1f}", KEPT_AT_MOST // 2**20
        raise RejectedInputError(f"has {size} MB, more than the {most} MB that are kept", where=name)
    if sensitive and name not in UNDERSTOOD:
        raise RejectedInputError("is withheld: nobody knows where its sensitive fields stand", where=name)
    stream = world.objects.open_object(bucket, one.key)
    if stream is None:
        raise RejectedInputError("was gone when it was recorded", where=name)
    body = stream.read()
    kept = _redact(body, sensitive)
    if _count(name, body) != _count(name, kept):
        raise RejectedInputError(
            "is withheld: without its sensitive fields it says something else", where=name
        )
    return kept


def _redact(body: bytes, sensitive: tuple[str, ...]) -> bytes:
    if not sensitive:
        return body
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON
    return json.dumps(redact_report(document, sensitive)).encode()


def _count(name: str, body: bytes) -> int | None:
    """What a run is judged by: its violations, its rows; None where the file cannot be read."""
    try:
        if name in FILE_NAMES:
            return len(parse_violations(body).violations)
        return parse_statistics(body).dataset.item_count if name == STATISTICS else 0
    except RejectedInputError:
        return None
