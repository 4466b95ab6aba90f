"""What a monitoring job is asked to do: the container contract, environment first (CONTRACTS §1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.container import (
    CONFIG,
    RESOURCES,
    find_output,
    list_objects,
    merge_environment,
    read_platform_file,
)
from sagewatch.errors import ConfigurationError
from sagewatch.quality.align import Mode
from sagewatch.quality.captures import Window, read_time
from sagewatch.quality.checks import CheckSettings
from sagewatch.quality.dataset_format import DatasetFormat, parse_dataset_format
from sagewatch.quality.drift import CHI_SQUARED, LINFINITY, DriftSettings

DEFAULT_SOURCE: Final = "/opt/ml/processing/input/endpoint"
_SHARDED: Final = "ShardedByS3Key"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A monitoring or baselining job.

    Attributes
    ----------
    source, output
        Folders below the container's root.
    format
        What lies in the files; None to look.
    baseline_constraints, baseline_statistics
        Files; without either the job makes a baseline.
    window
        Records outside are passed over.
    metric_time
        The time that its metrics are of.
    class_threshold
        Largest accepted share of one class: the first notebook's check, alone or beside a baseline's.
    publishes, dimensions
        Whether metrics are written, and for whom.
    excluded
        Features that are left out.
    name
        The processing job's ARN; empty outside the platform.
    host, hosts
        This instance and all of them; ``is_sharded`` where each has data of its own.
    """

    source: Path
    output: Path
    format: DatasetFormat | None = None
    baseline_constraints: Path | None = None
    baseline_statistics: Path | None = None
    window: Window = Window()
    metric_time: datetime | None = None
    preprocessor: Path | None = None
    postprocessor: Path | None = None
    settings: CheckSettings = CheckSettings()
    class_threshold: float | None = None
    publishes: bool = False
    dimensions: dict[str, str] = {}
    excluded: tuple[str, ...] = ()
    name: str = ""
    host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    is_sharded: bool = False

    @property
    def writer(self) -> str:
        """The instance that writes where all hold the same data."""
        return min(self.hosts, key=lambda host: (len(host), host))

    @property
    def is_shard(self) -> bool:
        """True where this instance sees a part of the data."""
        return self.is_sharded and len(self.hosts) > 1

    @property
    def is_bystander(self) -> bool:
        """True where another instance does the same work and writes its result."""
        return not self.is_sharded and self.host != self.writer

    @property
    def has_baseline(self) -> bool:
        """True where the data are compared with something."""
        return self.baseline_constraints is not None or self.baseline_statistics is not None

    @property
    def is_monitoring(self) -> bool:
        """True for a comparison, false for the making of a baseline: there is no other switch."""
        return self.has_baseline or self.class_threshold is not None or not self.window.is_open


def read_job(root: Path, environment: Mapping[str, str]) -> Job:
    """Read the job from the environment, and from the platform's file what the environment lacks.

    Raises
    ------
    ConfigurationError
        When a value is not what the contract says, or a kind of monitor is asked for that this is not.
    """
    config = read_platform_file(root / CONFIG)
    resources = read_platform_file(root / RESOURCES)
    given = _Given(merge_environment(config, environment), root)
    if given.text("analysis_type") not in {None, "DATA_QUALITY"}:
        raise ConfigurationError(
            "this job analyzes data quality alone", where="environment", key="analysis_type"
        )
    source = given.path("dataset_source") or root / DEFAULT_SOURCE.lstrip("/")
    threshold = given.number("THRESHOLD")
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigurationError(
            "must lie between 0 and 1: it is a share", where="environment", key="THRESHOLD"
        )
    constraints, statistics = given.path("baseline_constraints"), given.path("baseline_statistics")
    window = Window(given.time("start_time"), given.time("end_time"))
    if window.start is not None and window.end is not None and window.start > window.end:
        raise ConfigurationError(
            f"{window.start:%Y-%m-%dT%H:%M:%SZ} is after end_time", where="environment", key="start_time"
        )
    written = given.text("dataset_format")
    return Job(
        source=source,
        output=given.path("output_path") or root / find_output(config).lstrip("/"),
        format=parse_dataset_format(written) if written is not None else None,
        baseline_constraints=constraints,
        baseline_statistics=statistics,
        window=window,
        metric_time=given.time("metric_time"),
        preprocessor=given.path("record_preprocessor_script"),
        postprocessor=given.path("post_analytics_processor_script"),
        settings=_read_settings(given),
        class_threshold=threshold,
        publishes=given.text("publish_cloudwatch_metrics") == "Enabled",
        dimensions=_read_dimensions(given),
        excluded=_split(given.text("exclude_features_attribute")),
        name=str(config.get("ProcessingJobArn") or ""),
        host=resources.get("current_host") or "algo-1",
        hosts=tuple(resources.get("hosts") or ("algo-1",)),
        is_sharded=_is_sharded(config, source, root),
    )


class _Given:
    """The environment's values; an empty one is none."""

    def __init__(self, values: Mapping[str, Any], root: Path) -> None:
        self._values = values
        self._root = root

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        return None if value is None or not str(value).strip() else str(value).strip()

    def path(self, key: str) -> Path | None:
        text = self.text(key)
        return None if text is None else self._root / text.lstrip("/")

    def number(self, key: str) -> float | None:
        text = self.text(key)
        try:
            return None if text is None else float(text)
        except ValueError as error:
            raise ConfigurationError(f"{text!r} is no number", where="environment", key=key) from error

    def time(self, key: str) -> datetime | None:
        text = self.text(key)
        at = read_time(text)
        if text is not None and at is None:
            raise ConfigurationError(f"{text!r} is no time in ISO 8601", where="environment", key=key)
        return at


def _read_settings(given: _Given) -> CheckSettings:
    mode = (given.text("SAGEWATCH_MODE") or Mode.EXACT).lower()
    if mode not in set(Mode):
        raise ConfigurationError(
            f"{mode!r} is neither exact nor compat", where="environment", key="SAGEWATCH_MODE"
        )
    accepted = given.number("SAGEWATCH_FALSE_ALARMS")
    if accepted is not None and not 0 < accepted < 1:
        raise ConfigurationError(
            "must lie between 0 and 1", where="environment", key="SAGEWATCH_FALSE_ALARMS"
        )
    rows = given.number("SAGEWATCH_EXPECTED_ROWS")
    if rows is not None and not (1 <= rows < math.inf and rows == int(rows)):
        raise ConfigurationError(
            "must be a whole number above 0", where="environment", key="SAGEWATCH_EXPECTED_ROWS"
        )
    drift = DriftSettings(Mode(mode)) if accepted is None else DriftSettings(Mode(mode), accepted)
    method = given.text("categorical_drift_method")
    if method not in {None, LINFINITY, CHI_SQUARED}:
        reason = f"{method!r} is neither {LINFINITY} nor {CHI_SQUARED}"
        raise ConfigurationError(reason, where="environment", key="categorical_drift_method")
    return CheckSettings(drift, None if rows is None else int(rows), categorical_drift_method=method)


def _split(names: str | None) -> tuple[str, ...]:
    """Names between commas; blanks around them are none of theirs."""
    return tuple(filter(None, (name.strip() for name in (names or "").split(","))))


def _read_dimensions(given: _Given) -> dict[str, str]:
    pairs = {
        "Endpoint": given.text("sagemaker_endpoint_name"),
        "MonitoringSchedule": given.text("sagemaker_monitoring_schedule_name"),
    }
    return {name: value for name, value in pairs.items() if value is not None}


def _is_sharded(config: Mapping[str, Any], source: Path, root: Path) -> bool:
    inputs = list_objects(config.get("ProcessingInputs"), "ProcessingInputs")
    for mounted in list_objects([each.get("S3Input") or {} for each in inputs], "ProcessingInputs.S3Input"):
        path = root / str(mounted.get("LocalPath") or "").lstrip("/")
        if mounted.get("S3DataDistributionType") == _SHARDED and (path == source or source in path.parents):
            return True
    return False
