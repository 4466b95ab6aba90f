"""Capture files of a made-up traffic-sign endpoint, as SageMaker writes them."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta

PREFIX = "capture/signs/AllTraffic"
CLASSES = ["1", "2", "4", "10", "12", "13", "14", "38"]
WEIGHTS = [14, 16, 14, 14, 14, 14, 2, 12]


def draw_clean(count: int, rng: random.Random) -> list[str]:
    """Predictions of a usual day."""
    return rng.choices(CLASSES, WEIGHTS, k=count)


def draw_attacked(count: int, rng: random.Random, share: float = 0.8) -> list[str]:
    """Predictions while class 14 is being pushed."""
    return ["14" if rng.random() < share else one for one in draw_clean(count, rng)]


def build_line(predicted: str, at: datetime, number: int) -> str:
    """One captured request."""
    return json.dumps(
        {
            "captureData": {
                "endpointInput": {"observedContentType": "text/plain", "mode": "INPUT", "data": f"input {number}",
                                  "encoding": "CSV"},
                "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT",
                                   "data": f"[[{predicted}, 0.9]]", "encoding": "JSON"},
            },
            "eventMetadata": {"eventId": f"e{number}", "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
            "eventVersion": "0",
        }
    )  # fmt: skip


def put_file(
    world, predictions: list[str], at: datetime, *, number: int = 0, spoil: tuple[int, ...] = ()
) -> dict:
    """Put a capture file into the world's S3; the event that tells of it."""
    lines = [build_line(one, at + timedelta(milliseconds=n), n) for n, one in enumerate(predictions)]
    for n in spoil:
        lines[n] = '{"captureData": tru'
    clock = f"{at:%M-%S}-{at.microsecond // 1000:03d}"
    key = f"{PREFIX}/{at:%Y/%m/%d/%H}/{clock}-00000000-0000-4000-8000-{number:012d}.jsonl"
    body = ("\n".join(lines) + "\n").encode()
    world.objects.bodies["captures", key] = body
    return {
        "id": f"c{number}",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": at.isoformat(),
        "detail": {
            "bucket": {"name": "captures"},
            "object": {"key": key, "size": len(body), "etag": f"etag{number}"},
        },
    }


def put_files(
    world,
    predictions: list[str],
    start: datetime,
    *,
    per_file: int = 10,
    first: int = 0,
    every: timedelta = timedelta(seconds=1),
) -> list[dict]:
    """Put predictions into files of a few each, a second apart; their events in order."""
    files = [predictions[n : n + per_file] for n in range(0, len(predictions), per_file)]
    return [put_file(world, file, start + every * n, number=first + n) for n, file in enumerate(files)]
