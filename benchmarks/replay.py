"""A day of a fleet through the real flows in memory: 50 endpoints, 1.4 million predictions, one core.

Captures are written to a temporary folder first, as SageMaker lays them out; that is not counted. The yardstick, for
machines of another speed: only reading the same files the way the sample's notebook does, ``json.loads`` for each line
and again for its answer. Says yes or no; ``--quick`` plays five endpoints, ``--once`` plays them once.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sagewatch.monitors import Monitors, parse_monitors
from sagewatch.observability import get_logger
from sagewatch.replay.outcome import encode, gather
from sagewatch.replay.play import Player
from sagewatch.replay.recording import FolderObjects, list_landings
from sagewatch.replay.scene import Scene

DAY = datetime(2026, 11, 20, tzinfo=UTC)
ENDPOINTS, FILES, PER_FILE = 50, 480, 58.4
QUICK_ENDPOINTS = 5
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


def read_as_the_sample_does(folder: Path) -> float:
    """CPU seconds to count a day's classes line by line, with no detection at all."""
    began = time.process_time()
    counts: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            answer = json.loads(line)["captureData"]["endpointOutput"]["data"]
            counts[str(json.loads(answer)[0][0])] += 1
    return time.process_time() - began


def play(folder: Path, monitors: Monitors) -> tuple[bytes, float]:
    """One replay: its outcome, and the CPU seconds from listing the files to the outcome's bytes."""
    began, cpu = time.monotonic(), time.process_time()
    events = list_landings(folder, "captures", "capture")
    player = Player(monitors, Scene(), FolderObjects("captures", folder))
    player.play(events)
    outcome = gather(player, len(events))
    encoded = encode(outcome)
    wall, used = time.monotonic() - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"predictions": outcome.predictions, "files": len(events), "seconds": round(wall, 1),
            "cpu_seconds": round(used, 1), "peak_mib": memory, "findings": len(outcome.findings),
            "messages": len(outcome.messages), "sha256": hashlib.sha256(encoded).hexdigest()[:12]}  # fmt: skip
    print(json.dumps(told))
    return encoded, used


def main() -> None:
    """Write, play twice, compare, tell."""
    endpoints = QUICK_ENDPOINTS if "--quick" in sys.argv else ENDPOINTS
    get_logger().setLevel("ERROR")
    names = "\n".join(f"  model-{n:02d}: {{}}" for n in range(endpoints))
    monitors = parse_monitors(
        f"version: 1\nendpoints:\n{names}\nreceivers: {{a: {{mail: {{}}}}}}", "monitors.yml"
    )
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        written = write_day(folder, endpoints, random.Random(6))
        yardstick = read_as_the_sample_does(folder)
        results = [play(folder, monitors) for _ in range(1 if "--once" in sys.argv else 2)]
    used = min(cpu for _, cpu in results)
    share = endpoints / ENDPOINTS
    print(f"json.loads twice a line over the same files, nothing else: {yardstick:.1f} CPU s")
    print(
        f"replay to that: {used / yardstick:.1f}x ({written:,} predictions, {1e6 * used / written:.0f} us each)"
    )
    asked = f"{endpoints} endpoints in {ALLOWED_SECONDS * share:.0f} CPU seconds"
    print(f"reached, {asked}: {'yes' if used < ALLOWED_SECONDS * share else 'NO'} ({used:.1f})")
    if len(results) > 1:
        print("byte-identical from run to run:", "yes" if len({one for one, _ in results}) == 1 else "NO")


if __name__ == "__main__":
    main()
