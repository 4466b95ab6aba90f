"""The watched endpoints: in service, captured where the stack listens, called lately."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from sagewatch.cli.checks import Line, Patient

if TYPE_CHECKING:
    from sagewatch.monitors import Monitors

SILENT_AFTER = timedelta(hours=2)


def check_endpoints(patient: Patient) -> Iterator[Line]:
    """Every endpoint of monitors.yml."""
    monitors: Monitors | None = patient.monitors
    sagemaker = patient.client("sagemaker")
    for name in monitors.endpoints if monitors else ():
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        yield Line(status == "InService", f"endpoint {name}", status, "Look at the endpoint's own log group.")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        capture = config.get("DataCaptureConfig", {})
        wanted = f"s3://{patient.outputs['CaptureBucket']}/{patient.outputs['CapturePrefix']}"
        found = capture.get("DestinationS3Uri", "nowhere") if capture.get("EnableCapture") else "off"
        fix = f"Give the endpoint a configuration whose DataCaptureConfig writes to {wanted}."
        yield Line(found.rstrip("/") == wanted, f"captures of {name}", found, fix)
        yield _check_last_capture(patient, name)


def _check_last_capture(patient: Patient, endpoint: str) -> Line:
    prefix = f"{patient.outputs['CapturePrefix']}/{endpoint}/"
    pages = patient.client("s3").get_paginator("list_objects_v2")
    times = [
        row["LastModified"]
        for page in pages.paginate(Bucket=patient.outputs["CaptureBucket"], Prefix=prefix)
        for row in page.get("Contents", [])
    ]
    if not times:
        return Line(
            False,
            f"last capture of {endpoint}",
            "none yet",
            "Call the endpoint, and look again in five minutes.",
        )
    age = patient.now - max(times)
    fix = "Is the endpoint still called? A capture file comes within minutes of a call."
    return Line(
        age <= SILENT_AFTER, f"last capture of {endpoint}", f"{age.total_seconds() / 60:.0f} min ago", fix
    )
