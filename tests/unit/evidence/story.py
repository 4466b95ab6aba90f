"""A dossier as the demo makes it, with pictures drawn here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from sagewatch.evidence.model import (
    CaptureBin,
    Captured,
    Dossier,
    EndpointConfigs,
    Explained,
    Looked,
    PageLink,
    SampleInput,
    Told,
    TracePoint,
)
from sagewatch.incident.model import Entry, Progress
from tests.unit.incident.story import at, build_finding, build_incident, resolve

CLASS_NAMES = {
    "14": "Stop", "38": "Keep right", "2": "Speed limit (50km/h)", "1": "Speed limit (30km/h)",
    "13": "Yield", "25": "Road work",
}  # fmt: skip
ORIGINAL = {
    "EndpointConfigName": "traffic-signs-2026-11-21",
    "EndpointConfigArn": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/traffic-signs-2026-11-21",
    "ProductionVariants": [
        {
            "VariantName": "AllTraffic",
            "ModelName": "traffic-signs-7",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1.0,
        }
    ],
    "DataCaptureConfig": {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captures",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    },
    "CreationTime": "2026-11-21T18:00:00Z",
}
HOOKED = ORIGINAL | {
    "EndpointConfigName": "sagewatch-hooked-20261121T203450Z",
    "ProductionVariants": [
        ORIGINAL["ProductionVariants"][0] | {"ModelName": "sagewatch-hooked-20261121T203450Z"}  # type: ignore[index]
    ],
}


def draw_png(paint: Callable[[int, int], tuple[int, int, int]], side: int = 16) -> bytes:
    """A small square picture, from a colour for each x and y."""
    rows = b"".join(b"\0" + bytes(value for x in range(side) for value in paint(x, y)) for y in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


GREY = draw_png(lambda x, y: (90 + 6 * x, 90 + 6 * y, 110))
HOT = draw_png(lambda x, y: (255 - 10 * abs(x - 8), 60, 10 * abs(y - 8)))

ROLES = ("suspicious", "suspicious", "clean", "suspicious", "other", "suspicious")


def _enter(seconds: float, what: str, reason: str, by: str, **data: Any) -> Entry:
    return Entry(at(seconds), what, reason, by, data)


ENTRIES = (
    _enter(45, "finding_raised", "threshold_crossed", "class-concentration",
           finding_id="8a1b", log10_excess=3.92, predictions=120, source="s3://captures/34-05-1.jsonl"),
    _enter(46, "incident_opened", "new_incident", "manage_incident"),
    _enter(47, "alert_sent", "new_incident", "deliver_alert", receiver="on-call/slack", kind="firing"),
    _enter(47.4, "alert_sent", "new_incident", "deliver_alert", receiver="on-call/mail", kind="firing"),
    _enter(48, "diagnosis_swapping", "lease_taken", "advance_diagnosis", explained=0),
    _enter(66, "diagnosis_observing", "hooked_config_verified", "advance_diagnosis", explained=0),
    _enter(104, "diagnosis_restoring", "enough_recorded", "advance_diagnosis", explained=0),
    _enter(118, "diagnosis_explaining", "original_config_verified", "advance_diagnosis", explained=0),
    _enter(133, "diagnosis_finished", "explained", "advance_diagnosis", explained=24),
    _enter(133.5, "diagnosis_cost", "measured", "advance_diagnosis", hooked_seconds=52.0,
           added_milliseconds_a_request=12.3, job_seconds=95.0, job_instance="ml.m5.large", job_usd=0.003,
           second_fleet_usd_at_most=0.02, prices="list prices of us-east-1, 2025-10"),
    _enter(160, "finding_cleared", "evidence_fell_back", "class-concentration", finding_id="8a1b"),
    _enter(161, "incident_resolved", "evidence_fell_back", "manage_incident"),
    _enter(162, "alert_sent", "resolve_owed", "deliver_alert", receiver="on-call/slack", kind="resolved"),
    _enter(162.3, "alert_sent", "resolve_owed", "deliver_alert", receiver="on-call/mail", kind="resolved"),
)  # fmt: skip
TRACE = tuple(
    TracePoint(at(second), round(value, 3))
    for second, value in (
        [(2 * n, -4.2 + 0.3 * ((n * 7) % 3)) for n in range(16)]
        + [(32 + 2 * n, -3.8 + 0.62 * n) for n in range(20)]
        + [(72 + 4 * n, 8.4 - 0.05 * n) for n in range(10)]
        + [(112 + 4 * n, 7.6 - 0.9 * n) for n in range(13)]
    )
)
CAPTURED = Captured(
    step_seconds=5,
    bins=tuple(
        CaptureBin(at(5 * n - 30), 20 + n % 3, of_subject=1 if n < 6 or n > 30 else 16) for n in range(39)
    ),
    files=17,
    first_at=at(-34),
    last_at=at(160),
)
TOLD = (
    Told(at(47), "on-call", "slack", "firing", "new_incident"),
    Told(at(47.4), "on-call", "mail", "firing", "new_incident"),
    Told(at(162), "on-call", "slack", "resolved", "resolve_owed"),
    Told(at(162.3), "on-call", "mail", "resolved", "resolve_owed"),
)
LINKS = (
    PageLink(
        "Incident page in the AWS console",
        "https://s3.console.aws.amazon.com/s3/object/evidence",
        "sign in first",
    ),
    PageLink("Metrics", "https://eu-central-1.console.aws.amazon.com/cloudwatch/home#metricsV2"),
    PageLink(
        "Evidence bundle",
        "https://s3.console.aws.amazon.com/s3/buckets/evidence",
        "captures, heat maps, manifest",
    ),
)
RUNBOOK = "https://example.com/sagewatch/runbooks/class-concentration.md"


def build_explained(number: int, **changes: Any) -> Explained:
    """One explained input."""
    values: dict[str, Any] = {
        "worker": "i-0a1b2c-4711", "step": number, "label": "14", "probability": 0.61 + 0.015 * number,
        "completeness_error": 1.3e-7 * (number + 1), "outside_share": 0.31, "input_png": GREY, "overlay_png": HOT,
        "role": ROLES[number % len(ROLES)], "event_id": f"{number:08x}-77b1-4c0e-9f0d-1b5c2a3d4e5f",
        "where": f"s3://captures/2026/11/21/20/35-05-1.jsonl line {number + 1}",
    }  # fmt: skip
    return Explained(**(values | changes))


def build_looked(**changes: Any) -> Looked:
    """A comparison that found something."""
    values: dict[str, Any] = {
        "sentence": "On 16 suspicious inputs against 5 clean inputs of that class the mean heat maps differ by 31%.",
        "verdict": "past", "suspicious": 16, "others": 5, "others_are": "clean input of that class",
        "suspicious_png": HOT, "others_png": GREY, "difference_png": HOT,
    }  # fmt: skip
    return Looked(**(values | changes))


def build_dossier(**changes: Any) -> Dossier:
    """The whole story, told at its end; changed as asked."""
    finding = build_finding(end=160)
    incident = resolve(build_incident(end=160))
    incident = msgspec.structs.replace(
        incident, resolved_at=at(160), findings=(msgspec.structs.replace(finding, cleared_at=at(160)),),
        diagnosis=Progress("finished", "explained", at(133), explained=24),
    )  # fmt: skip
    values: dict[str, Any] = {
        "incident": incident,
        "made_at": at(165),
        "entries": ENTRIES,
        "captured": CAPTURED,
        "trace": TRACE,
        "class_names": CLASS_NAMES,
        "samples": tuple(
            SampleInput(label="14", where=f"s3://captures/2026/11/21/20/34-05-1.jsonl line {n}", picture=GREY,
                        confidence=0.6 + n / 50)
            for n in range(6)
        ),
        "explained": tuple(build_explained(number) for number in range(24)),
        "looked": build_looked(),
        "configs": EndpointConfigs(original=ORIGINAL, hooked=HOOKED, final=ORIGINAL),
        "told": TOLD,
        "links": LINKS,
        "runbook": RUNBOOK,
    }  # fmt: skip
    return Dossier(**(values | changes))


def build_running_dossier() -> Dossier:
    """The story while tensors are being recorded."""
    incident = build_incident(end=60)
    return build_dossier(
        incident=msgspec.structs.replace(
            incident, diagnosis=Progress("observing", "hooked_config_verified", at(66))
        ),
        made_at=at(80),
        entries=ENTRIES[:6],
        captured=msgspec.structs.replace(CAPTURED, bins=CAPTURED.bins[:22], last_at=at(78)),
        trace=TRACE[:38],
        explained=(),
        looked=None,
        told=TOLD[:2],
        configs=EndpointConfigs(original=ORIGINAL, hooked=HOOKED, final=HOOKED),
    )
