"""Processing jobs: InProgress -> Completed, Failed or Stopped; the image's program runs as a process.

The program gets a private root directory in CONTAINER_ROOT and finds /opt/ml/... below it. `/opt/program/x.py` in
an entrypoint is `monitor_image/x.py` of the repository; an image without entrypoint runs `analyze.py`.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from sagewatch.sandbox.processes import Child
from sagewatch.sandbox.sagemaker import job_files
from sagewatch.sandbox.sagemaker.events import JOB_CHANGE, EventSender, build_job_detail
from sagewatch.sandbox.sagemaker.faults import Fault, Faults
from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.protocol import ApiError, only_members, refused
from sagewatch.sandbox.sagemaker.store import JobRecord, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sagewatch.sandbox.sagemaker.variants import LocalClients

LOG = logging.getLogger(__name__)
PROGRAMS = "/opt/program/"
DEFAULT_ENTRYPOINT = ("python3", "/opt/program/analyze.py")
DAY_SECONDS = 86400
LOOK_SECONDS = 0.1
HANG = ("-c", "import time; time.sleep(86400)")


def program_arguments(application: Mapping[str, Any], programs: Path) -> list[str]:
    """What follows the Python interpreter, for an AppSpecification.

    Raises
    ------
    ApiError
        The entrypoint is no Python program of ours.
    """
    entrypoint = list(application.get("ContainerEntrypoint") or DEFAULT_ENTRYPOINT)
    if entrypoint[0].rsplit("/", 1)[-1] not in {"python", "python3"} or len(entrypoint) == 1:
        raise refused(f"the local SageMaker runs Python programs only, not {entrypoint}")
    words = [*entrypoint[1:], *application.get("ContainerArguments", [])]
    return [
        str(programs / word.removeprefix(PROGRAMS)) if word.startswith(PROGRAMS) else word for word in words
    ]


def describe_job(record: JobRecord) -> dict[str, Any]:
    """What DescribeProcessingJob answers."""
    values = {
        **record.request,
        "ProcessingJobArn": record.arn,
        "ProcessingJobStatus": record.status,
        "ExitMessage": record.exit_message,
        "FailureReason": record.failure_reason,
        "CreationTime": record.created,
        "LastModifiedTime": record.modified,
        "ProcessingStartTime": record.started,
        "ProcessingEndTime": record.ended,
        "MonitoringScheduleArn": record.schedule_arn,
    }
    return only_members("DescribeProcessingJob", values)


class ProcessingOperations:
    """CreateProcessingJob and its like, and the threads in which jobs run.

    Parameters
    ----------
    programs
        Directory of the image's programs, the repository's `monitor_image/`.
    """

    def __init__(
        self, store: Store, aws: LocalClients, sender: EventSender, faults: Faults, programs: Path
    ) -> None:
        self._store = store
        self._aws = aws
        self._sender = sender
        self._faults = faults
        self._programs = programs
        self._threads: list[threading.Thread] = []
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateProcessingJob": self.create,
            "DescribeProcessingJob": self.describe,
            "StopProcessingJob": self.stop_job,
            "ListProcessingJobs": self.list_jobs,
        }

    def create(self, request: Mapping[str, Any], *, schedule_arn: str | None = None) -> dict[str, Any]:
        """Begin a job, perhaps for a monitoring schedule; answered at once."""
        name = request["ProcessingJobName"]
        arn = self._store.arn("processing-job", name)
        if name in self._store.jobs:
            raise ApiError(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this name already "
                f"exists ({arn})",
            )
        arguments = program_arguments(request["AppSpecification"], self._programs)
        job_files.refuse_unsupported(request)
        now = time.time()  # noqa: TID251  an edge
        record = JobRecord(request, arn, "InProgress", now, now, started=now, schedule_arn=schedule_arn)
        self._store.jobs[name] = record
        self._store.tag(arn, request.get("Tags"))
        self._announce(record)
        thread = threading.Thread(target=self._run, args=(record, arguments), daemon=True)
        self._threads.append(thread)
        thread.start()
        return {"ProcessingJobArn": arn}

    def has_program(self, name: str) -> bool:
        """True where the folder of programs holds one of that name."""
        return (self._programs / name).is_file()

    def job(self, name: str) -> JobRecord:
        """A job by name, or the error of its absence."""
        found = self._store.jobs.get(name)
        if found is None:
            raise ApiError("ResourceNotFound", "Requested resource not found.")
        return found

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The job now."""
        return describe_job(self.job(request["ProcessingJobName"]))

    def stop_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to stop a job."""
        record = self.job(request["ProcessingJobName"])
        if record.status == "InProgress":
            record.stop.set()
            self._change(record, "Stopping")
        return {}

    def list_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All jobs."""
        keys = [
            "ProcessingJobName",
            "ProcessingJobArn",
            "CreationTime",
            "ProcessingEndTime",
            "LastModifiedTime",
            "ProcessingJobStatus",
            "FailureReason",
            "ExitMessage",
        ]
        summaries = []
        for record in self._store.jobs.values():
            described = describe_job(record)
            summaries.append({key: described[key] for key in keys if key in described})
        return build_page(
            request,
            summaries,
            answer_key="ProcessingJobSummaries",
            name_key="ProcessingJobName",
            status_key="ProcessingJobStatus",
        )

    def stop(self) -> None:
        """End every job."""
        for record in self._store.jobs.values():
            record.stop.set()
        for thread in self._threads:
            thread.join(5)

    def _run(self, record: JobRecord, arguments: list[str]) -> None:
        root = self._aws.directory / "processing" / record.request["ProcessingJobName"]
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        s3 = self._aws.client("s3")
        try:
            job_files.download_inputs(s3, record.request, root)
        except (job_files.InputMissingError, ClientError) as error:
            self._end(record, "Failed", failure_reason=f"ClientError: {error}")
            return
        job_files.make_output_directories(record.request, root)
        job_files.write_configs(record.request, record.arn, root)
        if self._faults.take(Fault.FAIL_JOB):
            self._end(record, "Failed", failure_reason="InternalServerError: injected")
            return
        code = self._run_program(record, arguments, root)
        message = job_files.read_message(root)
        if not self._faults.take(Fault.JOB_WITHOUT_OUTPUTS):
            try:
                job_files.upload_outputs(s3, record.request, root)
            except (S3UploadFailedError, ClientError) as error:
                self._end(record, "Failed", exit_message=message, failure_reason=f"ClientError: {error}")
                return
        if code is None:
            self._end(record, "Stopped", exit_message=message)
        elif code == 0:
            self._end(record, "Completed", exit_message=message)
        else:
            reason = f"AlgorithmError: {message or ''}, exit code: {code}"[: job_files.EXIT_MESSAGE_BYTES]
            self._end(record, "Failed", exit_message=message, failure_reason=reason)

    def _run_program(self, record: JobRecord, arguments: list[str], root: Path) -> int | None:
        """The program's exit code; None when it was stopped, by request or by its time limit."""
        limit = record.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DAY_SECONDS)
        name = record.request["ProcessingJobName"]
        isolated = bool((record.request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))
        # The platform fetches and puts the files; an isolated program has no credentials, for it has nobody to show them.
        surroundings = {} if isolated else self._aws.environment
        child = Child(
            f"processing job {name}",
            list(HANG) if self._faults.take(Fault.HANG_JOB) else arguments,
            environment={
                **surroundings,
                **record.request.get("Environment", {}),
                "CONTAINER_ROOT": str(root),
                "PROCESSING_JOB_ARN": record.arn,
            },
            log=self._aws.logs / f"job-{name}.log",
            outbound_log=self._aws.outbound_log,
            directory=root,
            isolated=isolated,
        )
        deadline = time.monotonic() + limit
        try:
            while child.running:
                if record.stop.wait(LOOK_SECONDS) or time.monotonic() > deadline:
                    return None
            return child.process.returncode
        finally:
            child.stop()

    def _end(
        self,
        record: JobRecord,
        status: str,
        *,
        exit_message: str | None = None,
        failure_reason: str | None = None,
    ) -> None:
        with self._store.lock:
            record.exit_message = exit_message
            record.failure_reason = failure_reason
            record.ended = time.time()  # noqa: TID251  an edge
            self._change(record, status)
        LOG.info("job_ended job=%s status=%s reason=%s", record.arn, status, failure_reason)

    def _change(self, record: JobRecord, status: str) -> None:
        record.status = status
        record.modified = time.time()  # noqa: TID251  an edge
        self._announce(record)

    def _announce(self, record: JobRecord) -> None:
        self._sender.send(JOB_CHANGE, record.arn, build_job_detail(describe_job(record)))
