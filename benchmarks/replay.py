"""A day of a fleet through the real flows in memory: 50 endpoints, 1.4 million predictions, one core.

Captures are written to a temporary folder first, as SageMaker lays them out; that is not counted.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sagewatch.monitors import parse_monitors
from sagewatch.observability import get_logger
from sagewatch.replay.outcome import encode, gather
from sagewatch.replay.play import Player
from sagewatch.replay.recording import FolderObjects, list_landings
from sagewatch.replay.scene import Scene

DAY = datetime(2026, 11, 20, tzinfo=UTC)
ENDPOINTS, FILES, PER_FILE = 50, 480, 58.4
CLASSES, WEIGHTS = [str(n) for n in range(43)], [1 + n % 7 for n in range(43)]
ALLOWED_SECONDS = 60


def write_day(folder: Path, endpoints: int, rng: random.Random) -> int:
    """Capture files of a day, one every three minutes an endpoint; how many predictions."""
    line = (
        '{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"5.1,3.5,1.4,0.2",'
        '"encoding":"CSV"},"endpointOutput":{"observedContentType":"application/json","mode":"OUTPUT",'
        '"data":"[[%s, 0.%d]]","encoding":"JSON"}},"eventMetadata":{"eventId":"%012d","inferenceTime":"%s"},'
        '"eventVersion":"0"}\n'
    )
    written = 0
    for endpoint in range(endpoints):
        for number in range(FILES):
            at = DAY + timedelta(minutes=3 * number, seconds=endpoint, milliseconds=7 * endpoint)
            count = int(PER_FILE) + (rng.random() < PER_FILE % 1)
            attacked = endpoint == 7 and 300 <= number < 310
            drawn = rng.choices(CLASSES, WEIGHTS, k=count)
            times = [(at + timedelta(seconds=3 * n)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(count)]
            rows = [
                line
                % (
                    "14" if attacked and rng.random() < 0.7 else label,
                    rng.randrange(80, 99),
                    written + n,
                    times[n],
                )
                for n, label in enumerate(drawn)
            ]
            name = f"{at:%M-%S}-{at.microsecond // 1000:03d}-00000000-0000-4000-8000-{number:012d}.jsonl"
            path = folder / "capture" / f"model-{endpoint:02d}" / "AllTraffic" / f"{at:%Y/%m/%d/%H}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(rows))
            written += count
    return written


def main() -> None:
    """Write, play twice, compare, tell."""
    endpoints = 5 if "--quick" in sys.argv else ENDPOINTS
    get_logger().setLevel("ERROR")
    names = "\n".join(f"  model-{n:02d}: {{}}" for n in range(endpoints))
    monitors = parse_monitors(
        f"version: 1\nendpoints:\n{names}\nreceivers: {{a: {{mail: {{}}}}}}", "monitors.yml"
    )
    with tempfile.TemporaryDirectory() as folder:
        written = write_day(Path(folder), endpoints, random.Random(6))
        results = []
        for _ in range(1 if "--once" in sys.argv else 2):
            began, cpu = time.monotonic(), time.process_time()
            events = list_landings(Path(folder), "captures", "capture")
            player = Player(monitors, Scene(), FolderObjects("captures", Path(folder)))
            player.play(events)
            outcome = gather(player, len(events))
            wall, used = time.monotonic() - began, time.process_time() - cpu
            results.append(encode(outcome))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            told = {"predictions": outcome.predictions, "written": written, "files": len(events),
                    "seconds": round(wall, 1), "cpu_seconds": round(used, 1), "peak_mib": memory,
                    "findings": len(outcome.findings), "messages": len(outcome.messages)}  # fmt: skip
            print(json.dumps(told))
            share = endpoints / ENDPOINTS
            print("within a minute of one core:", used <= ALLOWED_SECONDS * share)
    print("byte-identical:", len(set(results)) == 1)


if __name__ == "__main__":
    main()
