"""How fast data sets are profiled, in how much memory, and whose verdicts are right.

Run: ``make bench FILES=benchmarks/quality.py [BENCH=--quick]``. Ways of reading take turns on the same file from the
page cache, and the best of several turns counts; ratios are of CPU seconds, for two processes of wall seconds.
With ``--real``, a folder of AWS's own reports, the columns that a sketch holds whole are rebuilt and compared.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from sagewatch.quality.align import Mode, align_tables
from sagewatch.quality.analysis import analyze
from sagewatch.quality.checks import CheckSettings, find_violations
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.drift import DriftSettings
from sagewatch.quality.profile import Batch, Shape, TableProfile, Tables
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import INTEGRAL, FeatureStatistics, parse_statistics
from sagewatch.quality.summary import build_statistics, suggest_constraints
from sagewatch.quality.workers import read_dataset

SEED = 20261121
FEATURES = 69
# Of a longer column not every cut is tried.
MOST_ROWS_CUT = 50
SETTINGS = ReadSettings(DatasetFormat(FileKind.CAPTURE))


def write_captures(path: Path, rows: int) -> None:
    """Captures as of the churn model: a score, and 10 fractions, 10 counts and 49 flags."""
    rng = np.random.default_rng(SEED)
    fractions, counts = rng.normal(180, 54, (rows, 10)).round(1), rng.integers(0, 200, (rows, 10))
    flags, scores = (rng.random((rows, FEATURES - 20)) < 0.1).astype(int), rng.random(rows)
    head = '{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"'
    middle = '","encoding":"CSV"},"endpointOutput":{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT","data":"'
    tail = '\\n","encoding":"CSV"}},"eventMetadata":{"eventId":"f04a8538-696c-4648-8064-8b680b2e3318","inferenceTime":"2026-04-18T00:21:48Z"},"eventVersion":"0"}\n'
    with path.open("w") as file:
        for row in range(rows):
            cells = [*fractions[row].tolist(), *counts[row].tolist(), *flags[row].tolist()]
            file.write(f"{head}{','.join(map(str, cells))}{middle}{scores[row]}{tail}")


def profile_with_pandas(path: Path) -> None:
    """What one writes with pandas: the same counts, moments, distinct values and histograms."""
    import pandas as pd

    lines = []
    with path.open() as file:
        for line in file:
            captured = json.loads(line)["captureData"]
            lines.append(captured["endpointOutput"]["data"].strip() + "," + captured["endpointInput"]["data"])
    frame = pd.read_csv(io.StringIO("\n".join(lines)), header=None)
    frame.describe()
    frame.nunique()
    frame.isna().sum()
    for name in frame:
        np.histogram(frame[name], bins=10)


def profile_with_sagewatch(path: Path, workers: int = 1) -> None:
    """The monitoring job's own way."""
    analyze(read_dataset([path], SETTINGS, workers, alone=True))


def measure(ways: dict[str, Callable[[], None]], turns: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each way, the best of several turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(turns):
        for name, way in ways.items():
            start = clock()
            way()
            best[name] = min(best[name], clock() - start)
    return best


def measure_longest(way: Callable[[], None], turns: int) -> float:
    """CPU seconds of the process that works longest, of this one and one that it starts: what the other's take is not waited for.

    The wall seconds of two free cores, on a machine that has none.
    """
    best = float("inf")
    for _ in range(turns):
        here, below = time.process_time(), _count_below()
        way()
        best = min(best, max(time.process_time() - here, _count_below() - below))
    return best


def _count_below() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show_speed(folder: Path, rows: int, turns: int) -> None:
    """Ratios to pandas on one core, and on both for data sets that are worth a second process."""
    print(f"profile of records x {FEATURES + 1} columns, ratio to pandas; load {os.getloadavg()[0]:.1f}")
    for cores, times in ((1, 1), (2, 1), (2, 4)):
        path = folder / f"{times}.jsonl"
        if not path.exists():
            write_captures(path, rows * times)
        ways = {
            "pandas": lambda path=path: profile_with_pandas(path),
            "sagewatch": lambda path=path, cores=cores: profile_with_sagewatch(path, cores),
        }
        best = measure(ways, turns, time.process_time if cores == 1 else time.perf_counter)
        size = path.stat().st_size / 1e6
        ratio, speed = best["pandas"] / best["sagewatch"], size / best["sagewatch"]
        line = (
            f"  {cores} core(s)  {rows * times:7d} records, {size:4.0f} MB  {ratio:.2f}x  ({speed:.0f} MB/s)"
        )
        if cores > 1:
            cpu = measure({"pandas": ways["pandas"]}, 1, time.process_time)["pandas"]
            line += f"; by CPU of the longer process {cpu / measure_longest(ways['sagewatch'], turns):.2f}x"
        print(line, flush=True)
    (folder / "4.jsonl").unlink()


def show_memory(folder: Path, megabytes: list[int]) -> None:
    """Peak resident memory of a job on captures of several sizes, two processes each."""
    print("memory: peak of one process (MB), by size of the captures (MB)")
    source = (folder / "1.jsonl").read_bytes()
    for size in megabytes:
        path = folder / "large.jsonl"
        with path.open("wb") as file:
            while file.tell() < size * 1_000_000:
                file.write(source)
        program = f"from benchmarks.quality import report_peak; report_peak({str(path)!r})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        path.unlink()
        print(f"  {size:5d}  {done.stdout.strip()}")


def report_peak(path: str) -> None:
    """Print peak memory of this process and of its children, in MB, and the wall seconds."""
    start = time.perf_counter()
    readout = read_dataset([Path(path)], SETTINGS, 2, alone=True)
    seconds = time.perf_counter() - start
    # Not getrusage: after an exec it still tells the peak of the process that this one was forked from.
    status = Path("/proc/self/status").read_text()
    here = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    below = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"here {here:.0f}, workers {below:.0f}; {seconds:.1f} s, {readout.tables.rows} rows")


def profile(columns: dict[str, list[str]]) -> TableProfile:
    """A small table in profile."""
    table = TableProfile()
    arrays = tuple(pa.array(values, pa.string()) for values in columns.values())
    table.add(Batch(Shape(0), tuple(columns), arrays, len(arrays[0])))
    return table


def count_violations(current: TableProfile, baseline: TableProfile, mode: Mode) -> int:
    """Drift violations of one table against another."""
    tables = Tables()
    tables.by_shape[Shape(0)] = current
    constraints = suggest_constraints(baseline)
    alignment = align_tables(tables, constraints.names, mode)
    settings = CheckSettings(DriftSettings(mode))
    return len(find_violations(alignment, constraints, build_statistics(baseline), settings))


def show_verdicts(runs: int) -> None:
    """Alarms without and with drift: share of runs in which each mode reports anything at all."""
    rng = np.random.default_rng(SEED)
    draw: dict[str, Callable[[int, bool], np.ndarray]] = {
        "binary 20 % -> 90 %": lambda n, moved: (rng.random(n) < (0.9 if moved else 0.2)).astype(int),
        "Poisson(8) -> + 4": lambda n, moved: rng.poisson(8, n) + 4 * moved,
        "day counts x 1.5": lambda n, moved: rng.exponential(45 if moved else 30, n).astype(int),
        "normal + 0.2 sd": lambda n, moved: rng.normal(0.2 * moved, 1, n).round(3),
        "uniform, 3 digits": lambda n, moved: (rng.random(n) * (1.2 if moved else 1)).round(3),
    }
    print(
        f"verdicts: share of {runs} runs with an alarm, 20 features of one kind, baseline 9,999 rows, threshold 0.1"
    )
    print(f"  {'':22s} {'rows':>6s} {'no drift':>16s} {'one feature drifts':>20s}")
    print(f"  {'':22s} {'':6s} {'compat':>8s}{'exact':>8s} {'compat':>10s}{'exact':>10s}")
    for name, kind in draw.items():
        baseline = profile({f"f{at}": list(map(str, kind(9999, False).tolist())) for at in range(20)})
        for rows in (60, 2000):
            alarms = {(mode, moved): 0 for mode in Mode for moved in (False, True)}
            for _ in range(runs):
                for moved in (False, True):
                    columns = {
                        f"f{at}": list(map(str, kind(rows, moved and not at).tolist())) for at in range(20)
                    }
                    current = profile(columns)
                    for mode in Mode:
                        alarms[mode, moved] += bool(count_violations(current, baseline, mode))
            shares = {key: count / runs for key, count in alarms.items()}
            quiet = f"{shares[Mode.COMPAT, False]:8.2f}{shares[Mode.EXACT, False]:8.2f}"
            moving = f"{shares[Mode.COMPAT, True]:10.2f}{shares[Mode.EXACT, True]:10.2f}"
            print(f"  {name:22s} {rows:6d} {quiet} {moving}")


def show_sketch_error(rows: int) -> None:
    """Largest error of a rank, beside the bound that exact mode allows for."""
    rng = np.random.default_rng(SEED)
    orders = {
        "random": rng.permutation(rows),
        "sorted": np.arange(rows),
        "sawtooth": np.arange(rows).reshape(-1, 4).T.ravel(),
    }
    print(f"sketch: largest error of a rank over {rows} values")
    for name, order in orders.items():
        sketch = Sketch()
        sketch.add(order.astype(float))
        items, weights = sketch.weighted()
        by_value = np.argsort(items)
        error = np.abs(np.cumsum(weights[by_value]) - (items[by_value] + 1)).max() / rows
        print(f"  {name:10s} {error:.5f}  (allowed {sketch.rank_error:.5f})")


def show_rebuilt(reports: Path) -> None:
    """Columns rebuilt from sketches that hold all of their values, compared with AWS's numbers bit for bit.

    Where one stretch of values gives other bits, every cut into two partitions is tried, as Spark may have made it.
    """
    print("rebuilt from AWS's sketches, bit for bit: mean, sum, deviation, least, most, histogram, sketch")
    print(f"  {'file':46s} {'features':>8s} {'equal':>6s} {'not':>4s}  why")
    for path in sorted(reports.glob("*/*statistics.json")):
        features = [each for each in parse_statistics(path.read_bytes()).features if _is_whole(each)]
        if not features:
            continue
        rows = len(_values_of(features[0]))
        cuts = [rows, *range(1, rows)] if rows < MOST_ROWS_CUT else [rows]
        cut = min(cuts, key=lambda at: sum(bool(find_unequal(each, at)) for each in features))
        unequal = {each.name: parts for each in features if (parts := find_unequal(each, cut))}
        why = "; ".join(f"{name}: {', '.join(parts)}" for name, parts in unequal.items())
        if cut < rows:
            why = f"two partitions, {cut} and {rows - cut} rows {why}"
        place = f"{path.parent.name}/{path.name}"
        print(f"  {place:46s} {len(features):8d} {len(features) - len(unequal):6d} {len(unequal):4d}  {why}")


def find_unequal(feature: FeatureStatistics, cut: int) -> list[str]:
    """Names of the numbers in which our profile of the same values, in two parts, differs from AWS's."""
    values = _values_of(feature)
    spelled = [str(int(value)) if feature.inferred_type == INTEGRAL else repr(value) for value in values]
    table = TableProfile()
    for part in (spelled[:cut], spelled[cut:]):
        table.merge(profile({feature.name: part}))
    ours = build_statistics(table).features[0]
    mine, theirs = ours.numerical_statistics, feature.numerical_statistics
    names = ("mean", "sum", "std_dev", "min", "max")
    parts = [name for name in names if getattr(mine, name) != getattr(theirs, name)]
    return (
        parts
        + ["histogram"] * (ours.buckets != feature.buckets)
        + ["sketch"] * (ours.sketch != feature.sketch)
    )


def _values_of(feature: FeatureStatistics) -> list[float]:
    return feature.sketch.data[0] if feature.sketch is not None else []


def _is_whole(feature: FeatureStatistics) -> bool:
    return feature.sketch is not None and len(feature.sketch.data) == 1


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes, rougher figures")
    parser.add_argument("--real", type=Path, default=Path("../shared/real/reports"), help="AWS's own reports")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        show_speed(Path(name), 40_000 if given.quick else 200_000, 2 if given.quick else 4)
        show_memory(Path(name), [100] if given.quick else [125, 250, 500, 1000])
    show_verdicts(5 if given.quick else 100)
    show_sketch_error(100_000 if given.quick else 1_000_000)
    if given.real.exists():
        show_rebuilt(given.real)


if __name__ == "__main__":
    main()
