"""One run of an endpoint's monitoring: the job on the captures of a window, or why there can be none."""

from __future__ import annotations

from typing import Any

import msgspec

from sagewatch.errors import RefusedError
from sagewatch.monitoring.job import Image, MonitoringJob, build_monitoring_job
from sagewatch.monitoring.policy import Quality
from sagewatch.monitoring.window import Span, list_hours
from sagewatch.ports import Hosting, Jobs, Objects
from sagewatch.report.failure import Failure, classify_failure
from sagewatch.world import World

NO_DATA = "Job inputs had no data"
_S3 = "s3://"


class Started(msgspec.Struct, frozen=True):
    """A job that runs now, and where its report will be."""

    job: str
    report_uri: str


class Workshop(msgspec.Struct, frozen=True):
    """What a run is made with: the ports that it needs, the image, and where reports go."""

    hosting: Hosting
    objects: Objects
    jobs: Jobs
    image: Image
    reports_uri: str


def build_workshop(world: World) -> Workshop:
    """The workshop of a deployed function."""
    settings = world.settings
    image = Image(
        image_uri=settings.explain_image_uri,
        role_arn=settings.explain_role_arn,
        instance_type=settings.explain_instance_type,
        security=settings.job_security,
    )
    reports = f"{_S3}{settings.evidence_bucket}/reports"
    return Workshop(world.hosting, world.objects, world.jobs, image, reports)


def start_run(
    endpoint: str, quality: Quality, span: Span, workshop: Workshop, attempt: str = ""
) -> Started | Failure:
    """Start the job for a window, once however often it is asked for; or the cause that stands in the way.

    Parameters
    ----------
    attempt
        Tells a repetition from the first run of the same window.
    """
    try:
        return _start(endpoint, quality, span, workshop, attempt)
    except RefusedError as error:
        return classify_failure("Failed", str(error))


def _start(
    endpoint: str, quality: Quality, span: Span, workshop: Workshop, attempt: str
) -> Started | Failure:
    described = workshop.hosting.describe_endpoint(endpoint)
    if described is None:
        return Failure("no_endpoint", f"There is no endpoint {endpoint}: take it out of monitors.yml.")
    missing = _find_missing_baseline(quality, workshop.objects)
    if missing:
        return Failure("no_baseline", f"{missing} is not there: make it with `sagewatch baseline`.")
    capture_uri = str((described.get("DataCaptureConfig") or {}).get("DestinationS3Uri", "")).rstrip("/")
    folders = _list_folders(endpoint, described, capture_uri, span, workshop.objects)
    if not folders:
        return classify_failure("Failed", NO_DATA)
    job = MonitoringJob(
        endpoint=endpoint,
        quality=quality,
        span=span,
        capture_uri=capture_uri,
        folders=folders,
        reports_uri=workshop.reports_uri,
        attempt=attempt,
    )
    workshop.jobs.create_processing_job(build_monitoring_job(job, workshop.image))
    return Started(job.name, job.report_uri)


def _find_missing_baseline(quality: Quality, objects: Objects) -> str:
    for name in ("statistics.json", "constraints.json"):
        uri = f"{quality.baseline.rstrip('/')}/{name}"
        bucket, _, key = uri.removeprefix(_S3).partition("/")
        if key not in objects.list_objects(bucket, key):
            return uri
    return ""


def _list_folders(
    endpoint: str, described: dict[str, Any], capture_uri: str, span: Span, objects: Objects
) -> tuple[str, ...]:
    """The hours of each variant in which anything was captured."""
    bucket, _, prefix = capture_uri.removeprefix(_S3).partition("/")
    if not bucket:
        return ()
    variants = [row["VariantName"] for row in described.get("ProductionVariants", [])]
    hours = [f"{endpoint}/{variant}/{hour}" for variant in variants for hour in list_hours(span)]
    return tuple(one for one in hours if objects.list_objects(bucket, f"{prefix}/{one}/".lstrip("/")))
