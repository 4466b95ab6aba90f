"""The monitoring job, as a request to CreateProcessingJob: what a SageMaker schedule would start, started by us.

Source: SageMaker developer guide, "Container contract inputs"; names, paths and environment as the jobs of real
schedules have them. A processing job takes ten inputs and environment values of at most 256 letters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from sagewatch.finding import build_content_key
from sagewatch.job_security import JobSecurity, secure_job
from sagewatch.monitoring.policy import Quality, name_schedule
from sagewatch.monitoring.window import Span, format_time

OWN_MONITORS: Final = "sagewatch-monitor-"
PROCESSING: Final = "/opt/ml/processing"
ENDPOINT_DATA: Final = f"{PROCESSING}/input/endpoint"
STATISTICS: Final = f"{PROCESSING}/baseline/stats"
CONSTRAINTS: Final = f"{PROCESSING}/baseline/constraints"
OUTPUT: Final = f"{PROCESSING}/output"
ENTRYPOINT: Final = ("python3", "/opt/program/analyze.py")
MODE: Final = "SAGEWATCH_MODE"
"""The one variable of the environment that AWS's analyzer does not know: ``exact`` or ``compat``."""
CAPTURE_FORMAT: Final = json.dumps(
    {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}},
    separators=(",", ":"),
)
MOST_FOLDERS: Final = 8
"""Ten inputs, two of which are the baseline's."""
NAME_PART: Final = 20
_RUNTIME: Final = timedelta(hours=1)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What runs the job, and as whom."""

    image_uri: str
    role_arn: str
    instance_type: str
    volume_gigabytes: int = 20
    security: JobSecurity = JobSecurity()


class MonitoringJob(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the monitoring of an endpoint's data.

    Attributes
    ----------
    capture_uri
        ``s3://bucket/prefix`` of the endpoint's captures, the endpoint's name not included.
    folders
        Folders with captures below it: ``<endpoint>/<variant>/yyyy/mm/dd/hh``.
    reports_uri
        ``s3://bucket/prefix`` below which the reports of all runs lie.
    attempt
        Tells a run from an earlier one of the same window; empty for the first.
    """

    endpoint: str
    quality: Quality
    span: Span
    capture_uri: str
    folders: tuple[str, ...]
    reports_uri: str
    attempt: str = ""

    @property
    def name(self) -> str:
        """The same run has the same name, so starting it twice starts it once; at most 63 letters.

        That of another stage has another: each stage waits for a report in its own place.
        """
        key = build_content_key(
            self.endpoint, format_time(self.span.start), format_time(self.span.end), self.quality.baseline,
            self.quality.mode, self.attempt, self.reports_uri,
        )  # fmt: skip
        part = self.endpoint[:NAME_PART].rstrip("-")
        return f"{OWN_MONITORS}{part}-{self.span.end:%Y%m%d%H%M}-{key[:8]}"

    @property
    def report_uri(self) -> str:
        """Where this run's report goes, laid out as a schedule's reports are."""
        folder = f"{self.span.end:%Y/%m/%d/%H}/{self.name.rsplit('-', 1)[1]}"
        return f"{self.reports_uri}/{self.endpoint}/{name_schedule(self.endpoint)}/{folder}"


def build_monitoring_job(job: MonitoringJob, image: Image) -> dict[str, Any]:
    """The request that starts the run.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> job = MonitoringJob(endpoint="churn", quality=Quality(baseline="s3://b/base"), capture_uri="s3://b/capture",
    ...     span=Span(datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC)),
    ...     folders=("churn/AllTraffic/2026/01/01/09",), reports_uri="s3://b/reports")
    >>> request = build_monitoring_job(job, Image(image_uri="i", role_arn="r", instance_type="ml.m5.large"))
    >>> request["Environment"]["start_time"], [one["InputName"] for one in request["ProcessingInputs"]]
    ('2026-01-01T09:00:00Z', ['baseline', 'constraints', 'endpoint_input_1'])
    """
    baseline = job.quality.baseline.rstrip("/")
    folders = choose_folders(job.folders)
    request = {
        "ProcessingJobName": job.name,
        "RoleArn": image.role_arn,
        "AppSpecification": {"ImageUri": image.image_uri, "ContainerEntrypoint": list(ENTRYPOINT)},
        "Environment": build_environment(job),
        "ProcessingInputs": [
            _build_input("baseline", f"{baseline}/statistics.json", STATISTICS),
            _build_input("constraints", f"{baseline}/constraints.json", CONSTRAINTS),
            *(
                _build_input(
                    f"endpoint_input_{number}", f"{job.capture_uri}/{one}/", f"{ENDPOINT_DATA}/{one}"
                )
                for number, one in enumerate(folders, 1)
            ),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {"S3Uri": job.report_uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": image.instance_type,
                "VolumeSizeInGB": image.volume_gigabytes,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": int(_RUNTIME.total_seconds())},
        "Tags": [{"Key": "sagewatch:endpoint", "Value": job.endpoint}],
    }
    return secure_job(request, image.security)


def build_environment(job: MonitoringJob) -> dict[str, str]:
    """What the analyzer is told; nobody reads its metrics file here, as no schedule started it."""
    return {
        "baseline_constraints": f"{CONSTRAINTS}/constraints.json",
        "baseline_statistics": f"{STATISTICS}/statistics.json",
        "dataset_format": CAPTURE_FORMAT,
        "dataset_source": ENDPOINT_DATA,
        "output_path": OUTPUT,
        "start_time": format_time(job.span.start),
        "end_time": format_time(job.span.end),
        "metric_time": format_time(job.span.start),
        "monitoring_input_type": "ENDPOINT_INPUT",
        "publish_cloudwatch_metrics": "Disabled",
        "sagemaker_endpoint_name": job.endpoint,
        "sagemaker_monitoring_schedule_name": name_schedule(job.endpoint),
        MODE: job.quality.mode,
    }


def choose_folders(folders: Sequence[str], most: int = MOST_FOLDERS) -> list[str]:
    """The folders to mount: hours, or where those are too many, the days, months... that hold them.

    The analyzer reads the window's records alone, so a wider folder costs time and changes nothing.

    Examples
    --------
    >>> choose_folders(["e/v/2026/01/01/08", "e/v/2026/01/01/09", "e/v/2026/01/02/00"], most=2)
    ['e/v/2026/01/01', 'e/v/2026/01/02']
    """
    chosen = list(dict.fromkeys(folders))
    while len(chosen) > most and any("/" in one for one in chosen):
        chosen = list(dict.fromkeys(one.rpartition("/")[0] or one for one in chosen))
    return chosen


def _build_input(name: str, uri: str, path: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": path,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
