"""The monitoring job: profiles captured data and compares them with a baseline, inside a processing container.

In (below `CONTAINER_ROOT`, `/` where that is not set), everything optional:

- the environment of SageMaker Model Monitor's contract (`dataset_source`, `dataset_format`, `output_path`,
  `baseline_statistics`, `baseline_constraints`, `start_time`, `end_time`, `metric_time`, scripts, ...); what the
  process's environment lacks is taken from `opt/ml/config/processingjobconfig.json`
- `THRESHOLD`: the class-count check: no class above that share of the predictions; beside a baseline's checks, or alone
- `SAGEWATCH_MODE` (`exact`, `compat`), `SAGEWATCH_FALSE_ALARMS` (0.001), `SAGEWATCH_EXPECTED_ROWS`
- `opt/ml/config/resourceconfig.json`: which of several instances this is

Out, below `output_path`: `constraints.json` and `statistics.json`; with a baseline or a window also
`constraint_violations.json`; `rejected_records.jsonl` where lines could not be read. On one of several instances with
data of its own (`ShardedByS3Key`): a partial profile instead, which this program merges when given them all as data.
Exit code 0, with or without violations, or 1; `opt/ml/output/message` says how it went or what the cause is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from sagewatch.container import CLASSES, read_class_names, run_to_message, supervise, write_whole
from sagewatch.quality.analysis import Analysis, Baseline, analyze, build_baseline
from sagewatch.quality.class_share import count_classes, find_class_violations
from sagewatch.quality.constraints import parse_constraints
from sagewatch.quality.dataset_format import OUTPUT, DatasetFormat, FileKind
from sagewatch.quality.files import PARTIAL_SUFFIX, NoDataError, find_files, sniff_dataset
from sagewatch.quality.job import Job, read_job
from sagewatch.quality.metrics import build_metrics
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.readout import Readout
from sagewatch.quality.report import describe_nothing, describe_outcome, describe_rejected, write_report
from sagewatch.quality.script import run_postprocessor
from sagewatch.quality.shards import Shard, encode_shard
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.workers import read_dataset

METRICS: Final = "opt/ml/output/metrics/cloudwatch/cloudwatch_metrics.jsonl"


def run_job(job: Job, root: Path, now: datetime, workers: int, *, alone: bool = False) -> str:
    """Do the job; the answer is its message. ``alone``: no thread is at work in this process.

    Raises
    ------
    SagewatchError
        When there are no data, none can be read, a baseline is none, or a script fails.
    OSError
        When something cannot be read or written.
    """
    if job.is_bystander:
        return f"Completed: {job.host} holds the same data as {job.writer}, which writes the report."
    readout = _read(job, workers, alone=alone)
    if job.is_shard:
        path = job.output / f"{job.host}{PARTIAL_SUFFIX}"
        write_whole(path, encode_shard(_cut_shard(job, readout)))
        return f"Completed: {job.host} wrote a partial profile of {readout.tables.rows} rows."
    if readout.tables.is_empty:
        raise NoDataError(f"Job inputs had no data: {describe_nothing(readout)}", where=str(job.source))
    baseline = _read_baseline(job)
    analysis = _analyze(job, readout, baseline, root)
    write_report(job.output, analysis, readout, with_violations=job.is_monitoring)
    if job.publishes:
        at = job.metric_time or job.window.end or now
        metrics = build_metrics(analysis, baseline.constraints if baseline else None, at, job.dimensions)
        write_whole(root / METRICS, metrics.encode())
    if job.postprocessor is not None:
        run_postprocessor(job.postprocessor)
    return " ".join(filter(None, [describe_outcome(len(analysis.violations)), describe_rejected(readout)]))


def main(
    root: Path, environment: Mapping[str, str], now: datetime, workers: int, *, alone: bool = False
) -> int:
    """Run the job, leave its message, and return the exit code."""
    return run_to_message(root, lambda: run_job(read_job(root, environment), root, now, workers, alone=alone))


def _read(job: Job, workers: int, *, alone: bool) -> Readout:
    try:
        files = find_files(job.source)
    except NoDataError:
        if job.is_shard:
            return Readout()
        raise
    kind = sniff_dataset(files) if job.format is None else job.format
    if any(path.name.endswith(PARTIAL_SUFFIX) for path in files):
        kind = DatasetFormat(FileKind.PARTIAL)
    elif job.class_threshold is not None and not job.has_baseline:
        # The first notebook's job: what was asked may be images, and is not looked at.
        kind = DatasetFormat(FileKind.CAPTURE, sides=(OUTPUT,))
    script = str(job.preprocessor) if job.preprocessor is not None else None
    settings = ReadSettings(kind, job.window, job.settings.drift.mode, script)
    return read_dataset(files, settings, workers, alone=alone)


def _cut_shard(job: Job, readout: Readout) -> Shard:
    window = "/".join("" if at is None else at.isoformat() for at in (job.window.start, job.window.end))
    mode = str(job.settings.drift.mode)
    return Shard(job.host, job.hosts, readout.encode(), job.name, window, mode, repr(job.format))


def _read_baseline(job: Job) -> Baseline | None:
    constraints = statistics = None
    if job.baseline_constraints is not None:
        path = job.baseline_constraints
        constraints = parse_constraints(path.read_bytes(), str(path))
    if job.baseline_statistics is not None:
        path = job.baseline_statistics
        statistics = parse_statistics(path.read_bytes(), str(path))
    return build_baseline(constraints, statistics)


def _analyze(job: Job, readout: Readout, baseline: Baseline | None, root: Path) -> Analysis:
    analysis = analyze(readout, baseline, job.settings, job.excluded)
    if job.class_threshold is None:
        return analysis
    classes = count_classes(readout.tables)
    if not classes.total and not job.has_baseline:
        raise NoDataError("Job inputs had no data: no answer holds a class", where=str(job.source))
    others = f" and {classes.others} of other classes" if classes.others else ""
    # The first notebook reads it from the log.
    print(f"Predicted classes {classes.counts}{others}", flush=True)  # noqa: T201
    found = find_class_violations(classes, job.class_threshold, read_class_names(root / CLASSES))
    return msgspec.structs.replace(analysis, violations=[*analysis.violations, *found])


if __name__ == "__main__":
    # The container's own edge: settings.py belongs to the Lambda functions.
    surroundings = dict(os.environ)  # noqa: TID251
    place = Path(surroundings.get("CONTAINER_ROOT") or "/")
    cores, started = os.cpu_count() or 1, datetime.now(UTC)  # noqa: TID251
    sys.exit(supervise(place, lambda: main(place, surroundings, started, cores, alone=True)))
