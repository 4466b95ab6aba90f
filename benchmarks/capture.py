"""How fast capture files are read: ratios to what the sample does, and to the byte floor.

Run: ``make bench FILES=benchmarks/capture.py [BENCH=--quick]``. Every way reads the same file from the page cache, in turns, and
the best of several turns counts. The sample's way is ``json.loads`` of each line and again of its output.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sagewatch.capture import CaptureLocation, CaptureSpec, read_capture
from sagewatch.finding import Stream

SEED = 20261121
IMAGE_BYTES = 49_000  # 128 x 128 x 3 bytes: 66 KB a line in base64
LOCATION = CaptureLocation(
    bucket="b",
    key="cap/e/v/2026/11/21/10/00-00-000-00000000-0000-0000-0000-000000000000.jsonl",
    etag="e",
    stream=Stream("e", "v"),
    first_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
)
SPEC = CaptureSpec()


def build_line(
    rng: random.Random, number: int, content_type: str, encoding: str, data: str, answer: str
) -> str:
    """One capture line in SageMaker's own layout."""
    sides = {
        "endpointInput": {
            "observedContentType": content_type,
            "mode": "INPUT",
            "data": data,
            "encoding": encoding,
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": answer,
            "encoding": "JSON",
        },
    }
    event = {
        "eventId": f"{rng.getrandbits(128):032x}",
        "inferenceTime": f"2026-11-21T10:{number // 60 % 60:02d}:00Z",
    }
    line = {"captureData": sides, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(line, separators=(",", ":")) + "\n"


def write_tabular(path: Path, rows: int, *, distinct: bool) -> None:
    """Lines of 70 features; the confidence has 3 digits, or all of them (no answer twice)."""
    rng = random.Random(SEED)
    features = [",".join(f"{rng.random():.3f}" for _ in range(70)) for _ in range(100)]
    with path.open("w") as file:
        for number in range(rows):
            confidence = rng.random() if distinct else round(rng.random(), 2)
            answer = json.dumps([[rng.randrange(43), confidence]])
            file.write(build_line(rng, number, "text/csv", "CSV", features[number % 100], answer))


def write_images(path: Path, rows: int) -> None:
    """Lines with an image in base64."""
    rng = random.Random(SEED)
    images = [base64.b64encode(rng.randbytes(IMAGE_BYTES)).decode() for _ in range(8)]
    with path.open("w") as file:
        for number in range(rows):
            answer = json.dumps([[rng.randrange(43), rng.random()]])
            file.write(build_line(rng, number, "application/x-npy", "BASE64", images[number % 8], answer))


def read_as_the_sample(path: Path) -> int:
    """``json.loads`` of every line, and again of its output."""
    counts: dict[int, int] = {}
    with path.open() as file:
        for line in file:
            output = json.loads(json.loads(line)["captureData"]["endpointOutput"]["data"])
            counts[output[0][0]] = counts.get(output[0][0], 0) + 1
    return sum(counts.values())


def read_as_sagewatch(path: Path) -> int:
    """The reader of this repository."""
    with path.open("rb", buffering=0) as file:
        return read_capture(file, LOCATION, SPEC).segment.predictions


def read_floor(path: Path) -> int:
    """Fill a buffer and find the newlines: nobody reads faster."""
    buffer = bytearray(1 << 18)
    lines = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            at = buffer.find(b"\n", 0, count)
            while at >= 0:
                lines += 1
                at = buffer.find(b"\n", at + 1, count)
    return lines


WAYS: dict[str, Callable[[Path], int]] = {
    "json.loads twice (the sample)": read_as_the_sample,
    "sagewatch": read_as_sagewatch,
    "floor": read_floor,
}


def measure(path: Path, rows: int, turns: int) -> dict[str, float]:
    """Best CPU seconds of each way."""
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(turns):
        for name, way in WAYS.items():
            started = time.process_time()
            if way(path) != rows:
                raise AssertionError(name)
            best[name] = min(best[name], time.process_time() - started)
    return best


def measure_memory(path: Path) -> int:
    """Peak of Python's memory while reading, in bytes."""
    tracemalloc.start()
    read_as_sagewatch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, two turns")
    quick = parser.parse_args().quick
    rows, images, turns = (20_000, 300, 2) if quick else (200_000, 3000, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.jsonl"
        files: dict[str, tuple[int, Callable[[], None]]] = {
            "tabular, answers repeat": (rows, lambda: write_tabular(path, rows, distinct=False)),
            "tabular, every answer new": (rows, lambda: write_tabular(path, rows, distinct=True)),
            "images of 66 KB": (images, lambda: write_images(path, images)),
        }
        for name, (count, write) in files.items():
            write()
            best = measure(path, count, turns)
            size = path.stat().st_size
            first = next(iter(best.values()))
            print(
                f"{name}: {count} lines, {size / 1e6:.0f} MB, peak memory {measure_memory(path) / 1e6:.1f} MB"
            )
            for way, seconds in best.items():
                speed = f"{size / seconds / 1e6:7.0f} MB/s  {seconds / count * 1e6:7.2f} us a line"
                print(f"  {way:32} {first / seconds:5.1f}x  {speed}")


if __name__ == "__main__":
    main()
