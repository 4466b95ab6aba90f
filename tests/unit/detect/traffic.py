"""Streams of predictions for tests: drawn with a seed, cut into capture files."""

from __future__ import annotations

import random
from array import array
from datetime import UTC, datetime, timedelta

from sagewatch.capture import Segment
from sagewatch.finding import Stream
from sagewatch.place import Place

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
STREAM = Stream("signs", "AllTraffic")
PLACE = Place("123456789012", "eu-west-1")
CLASSES = 43
# Like the test set: frequent and rare classes; class 14 is a middling one.
SHARES = [0.06 if label < 10 else 0.0213 if label == 14 else 0.0118 for label in range(CLASSES)]


def draw_clean(rng: random.Random, count: int) -> list[str]:
    return [str(label) for label in rng.choices(range(CLASSES), SHARES, k=count)]


def draw_attacked(rng: random.Random, count: int, share: float, label: str = "14") -> list[str]:
    return [label if rng.random() < share else clean for clean in draw_clean(rng, count)]


def draw_confidences(rng: random.Random, count: int, mean: float) -> list[float | None]:
    spread = 20
    return [rng.betavariate(spread * mean, spread * (1 - mean)) for _ in range(count)]


def build_segment(
    number: int,
    labels: list[str],
    confidences: list[float | None] | None = None,
    *,
    every: timedelta = timedelta(seconds=10),
    **fields: object,
) -> Segment:
    known = list(dict.fromkeys(labels))
    indexes = {label: index for index, label in enumerate(known)}
    code = "B" if len(known) <= 256 else "H"
    first_at = START + number * every
    levels = b""
    if confidences is not None:
        levels = bytes(255 if each is None else round(254 * each) for each in confidences)
    return Segment(
        **{
            "bucket": "captures",
            "key": f"capture/signs/AllTraffic/{number:05d}.jsonl",
            "etag": "e",
            "stream": STREAM,
            "first_at": first_at,
            "last_at": first_at + every * 0.9,
            "labels": tuple(known),
            "classes": array(code, (indexes[label] for label in labels)).tobytes(),
            "confidences": levels,
            **fields,
        }
    )


def cut(labels: list[str], size: int, first: int = 0) -> list[Segment]:
    """Files of ``size`` predictions, numbered from ``first``."""
    return [build_segment(first + at // size, labels[at : at + size]) for at in range(0, len(labels), size)]


def build_story(seed: int, *, share: float = 0.6, size: int = 50) -> list[Segment]:
    """2500 clean predictions, 500 attacked ones (unsure, some lines unreadable), 1500 clean ones."""
    rng = random.Random(seed)
    segments = []
    for number in range(4500 // size):
        attacked = 2500 <= number * size < 3000
        labels = draw_attacked(rng, size, share) if attacked else draw_clean(rng, size)
        confidences = draw_confidences(rng, size, 0.6 if attacked else 0.9)
        confidences[rng.randrange(size)] = None
        rejected = size // 2 if attacked else 0
        segments.append(
            build_segment(
                number,
                labels,
                confidences,
                rejected=rejected,
                rejected_reasons={"not_json": rejected} if rejected else {},
                rejected_lines=tuple(range(size + 1, size + 1 + min(10, rejected))),
            )
        )
    return segments
