"""SageMaker's data capture: the line of one request, the key of a file, what is sampled. Pure.

Source: CONTRACTS §6.3; SageMaker developer guide, "Data capture".
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What an endpoint config's DataCaptureConfig says.

    Parameters
    ----------
    bucket, prefix
        Where files go; the prefix has no slash at its end.
    sampling_percent
        0 to 100.
    modes
        ``INPUT``, ``OUTPUT`` or both.
    csv_types, json_types
        Content types that are written as text; anything else is BASE64.
    """

    bucket: str
    prefix: str
    sampling_percent: float
    modes: frozenset[str]
    csv_types: frozenset[str]
    json_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Payload:
    """One direction of a request. The content type of an answer that is an error is None."""

    content_type: str | None
    body: bytes


def parse_capture_config(config: Mapping[str, Any] | None) -> CaptureSettings | None:
    """Read a DataCaptureConfig; None where nothing is captured."""
    if not config or not config.get("EnableCapture", False):
        return None
    bucket, _, prefix = config["DestinationS3Uri"].removeprefix("s3://").partition("/")
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    header = config.get("CaptureContentTypeHeader", {})
    return CaptureSettings(
        bucket=bucket,
        prefix=prefix.strip("/"),
        sampling_percent=float(config["InitialSamplingPercentage"]),
        modes=frozenset(
            {"INPUT", "OUTPUT"} if "InputAndOutput" in modes else {mode.upper() for mode in modes}
        ),
        csv_types=frozenset(header.get("CsvContentTypes", [])),
        json_types=frozenset(header.get("JsonContentTypes", [])),
    )


def build_side(payload: Payload, mode: str, settings: CaptureSettings) -> dict[str, Any]:
    """One direction as the file holds it: text for the named content types, BASE64 for all others."""
    plain = (payload.content_type or "").split(";")[0].strip()
    encoding = "CSV" if plain in settings.csv_types else "JSON" if plain in settings.json_types else "BASE64"
    if encoding != "BASE64":
        try:
            data = payload.body.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "BASE64"
    if encoding == "BASE64":
        data = base64.b64encode(payload.body).decode("ascii")
    return {"observedContentType": payload.content_type, "mode": mode, "data": data, "encoding": encoding}


def build_line(
    settings: CaptureSettings,
    request: Payload,
    answer: Payload,
    *,
    event_id: UUID,
    moment: datetime,
    inference_id: str | None = None,
    custom_attributes: str | None = None,
) -> str:
    """The line of one request, its line break included.

    Parameters
    ----------
    moment
        When it was answered, UTC; the line keeps whole seconds.
    """
    sides = {}
    if "INPUT" in settings.modes:
        sides["endpointInput"] = build_side(request, "INPUT", settings)
    if "OUTPUT" in settings.modes:
        sides["endpointOutput"] = build_side(answer, "OUTPUT", settings)
    metadata: dict[str, Any] = {
        "eventId": str(event_id),
        "inferenceTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if inference_id is not None:
        metadata["inferenceId"] = inference_id
    if custom_attributes is not None:
        metadata["customAttributes"] = [custom_attributes]
    line = {"captureData": sides, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(line, separators=(",", ":")) + "\n"


def build_key(settings: CaptureSettings, endpoint: str, variant: str, first: datetime, file_id: UUID) -> str:
    """The key of a file whose first record is of `first` (UTC).

    Examples
    --------
    >>> from datetime import datetime, UTC; from uuid import UUID
    >>> settings = CaptureSettings("b", "capture", 100, frozenset(), frozenset(), frozenset())
    >>> build_key(settings, "signs", "AllTraffic", datetime(2026, 6, 12, 10, 33, 28, 867000, UTC), UUID(int=0))
    'capture/signs/AllTraffic/2026/06/12/10/33-28-867-00000000-0000-0000-0000-000000000000.jsonl'
    """
    parts = [settings.prefix, endpoint, variant, first.strftime("%Y/%m/%d/%H")]
    name = f"{first.strftime('%M-%S')}-{first.microsecond // 1000:03d}-{file_id}.jsonl"
    return "/".join([*(part for part in parts if part), name])
