"""The watched endpoints: in service, captured where the stack listens, called lately, their data looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.unseen import look
from sagewatch.place import is_elsewhere

if TYPE_CHECKING:
    from sagewatch.monitoring.policy import Quality
    from sagewatch.monitors import Monitors

SILENT_AFTER = timedelta(hours=2)
_OFF = frozenset({"DISABLED", "STOPPED", "FAILED"})


def check_endpoints(patient: Patient) -> Iterator[Line]:
    """Every endpoint of monitors.yml."""
    monitors: Monitors | None = patient.monitors
    if monitors is None:
        fix = "Name the file that the stack is deployed with: --monitors monitors.yml."
        yield Line(None, "endpoints, their schedules, rights and quotas", "not looked at", fix)
        return
    for name in monitors.endpoints:
        if is_elsewhere(name):
            yield Line(None, f"endpoint {name}", "in another account or region", "Look at it there.")
            continue
        yield from look(f"captures of {name}", _check_endpoint(patient, name))


def check_monitoring(patient: Patient) -> Iterator[Line]:
    """The schedule of each endpoint whose data monitors.yml wants looked at, and what came of its latest run."""
    monitors: Monitors | None = patient.monitors
    for name, watched in monitors.endpoints.items() if monitors else ():
        if watched.quality is not None:
            yield from look(f"monitoring of {name}", _check_schedule(patient, name, watched.quality))


def find_endpoint(patient: Patient, name: str) -> dict[str, Any] | None:
    """The endpoint as SageMaker describes it; None where there is none of that name."""
    from botocore.exceptions import ClientError

    try:
        described: dict[str, Any] = patient.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":  # SageMaker has no other code for it
            return None
        raise
    return described


def _check_endpoint(patient: Patient, name: str) -> Iterator[Line]:
    endpoint = find_endpoint(patient, name)
    if endpoint is None:
        fix = (
            f"Deploy it (sagewatch deploy-endpoint {name}), or take it out of monitors.yml and deploy the stack; "
            "or is this another account or region?"
        )
        yield Line(False, f"endpoint {name}", "there is none of that name", fix)
        return
    status = endpoint["EndpointStatus"]
    yield Line(status == "InService", f"endpoint {name}", status, "Look at the endpoint's own log group.")
    config = patient.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    capture = config.get("DataCaptureConfig", {})
    wanted = f"s3://{patient.outputs['CaptureBucket']}/{patient.outputs['CapturePrefix']}"
    found = capture.get("DestinationS3Uri", "nowhere") if capture.get("EnableCapture") else "off"
    fix = f"Give the endpoint a configuration whose DataCaptureConfig writes to {wanted}."
    yield Line(found.rstrip("/") == wanted, f"captures of {name}", found, fix)
    if capture.get("EnableCapture"):
        yield from _check_capture_options(name, capture)
    yield _check_last_capture(patient, name, endpoint)


def _check_capture_options(name: str, capture: dict[str, Any]) -> Iterator[Line]:
    """Detectors need what the model said; quality, heat maps and the page what it was asked; all of them every call."""
    modes = {row["CaptureMode"] for row in capture.get("CaptureOptions", [])}
    if not modes & {"InputAndOutput"} and (missing := {"Input", "Output"} - modes):
        lost = (
            "no detector sees a prediction"
            if "Output" in missing
            else "no data quality, no heat maps, no input on a page"
        )
        fix = "Give its DataCaptureConfig the CaptureOptions Input and Output."
        yield Line(False, f"captures of {name}", f"without {' and '.join(sorted(missing))}: {lost}", fix)
    percentage = capture.get("InitialSamplingPercentage", 100)
    if percentage < 100:  # noqa: PLR2004 - all of them
        found = f"{percentage} % of the calls: detectors see the rest never, and take longer by as much"
        yield Line(
            None, f"captures of {name}", found, "Set InitialSamplingPercentage to 100 unless it is meant."
        )


def _check_last_capture(patient: Patient, name: str, endpoint: dict[str, Any]) -> Line:
    what = f"last capture of {name}"
    variants = [row["VariantName"] for row in endpoint.get("ProductionVariants", [])]
    times = [at for variant in variants for at in _list_captures(patient, name, variant)]
    if not times:
        hours = SILENT_AFTER.total_seconds() / 3600
        return Line(
            False,
            what,
            f"none in the last {hours:.0f} hours",
            "Call the endpoint, and look again in five minutes.",
        )
    age = patient.now - max(times)
    fix = "Is the endpoint still called? A capture file comes within minutes of a call."
    return Line(age <= SILENT_AFTER, what, f"{age.total_seconds() / 60:.0f} min ago", fix)


def _list_captures(patient: Patient, endpoint: str, variant: str) -> Iterator[datetime]:
    """When the files of the last hours were written; a prefix of all that was ever captured has no end."""
    pages = patient.client("s3").get_paginator("list_objects_v2")
    for back in range(int(SILENT_AFTER.total_seconds() // 3600) + 1):
        hour = patient.now - timedelta(hours=back)
        prefix = f"{patient.outputs['CapturePrefix']}/{endpoint}/{variant}/{hour:%Y/%m/%d/%H}/"
        for page in pages.paginate(Bucket=patient.outputs["CaptureBucket"], Prefix=prefix):
            for row in page.get("Contents", []):
                yield row["LastModified"]


def _check_schedule(patient: Patient, name: str, quality: Quality) -> Iterator[Line]:
    from sagewatch.cli.monitor import build_image
    from sagewatch.cli.monitor_schedules import build_schedules

    schedules = build_schedules(patient, patient.outputs, build_image(patient.outputs))[quality.scheduler]
    found = schedules.find(name)
    status = found.status if found else "missing"
    fix = f"sagewatch monitor create {name} --stack {patient.stack}"
    yield Line(
        found is not None and status.upper() not in _OFF,
        f"monitoring schedule of {name}",
        status.lower(),
        fix,
    )
    if found is not None and found.beside:
        twice = f"{' and '.join(found.beside)} beside it: a command line of an earlier version made that, each window is looked at twice"
        fix = f"sagewatch monitor create {name} --stack {patient.stack}: it removes that one. Then let all use the same version."
        yield Line(False, f"monitoring schedule of {name}", twice, fix)
    last = schedules.find_last_run(name)
    if last is not None:
        found_now = f"{last.status} {last.said}".rstrip()
        fix = "docs/runbooks/job-failed.md says what each reason means."
        yield Line(last.status != "Failed", f"latest monitoring run of {name}", found_now, fix)
