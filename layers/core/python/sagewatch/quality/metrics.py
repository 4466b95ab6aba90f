"""``cloudwatch_metrics.jsonl``: what a monitoring job hands to CloudWatch (CONTRACTS §2.9)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from sagewatch.quality.analysis import Analysis
from sagewatch.quality.constraints import ENABLED, Constraints
from sagewatch.quality.statistics import FeatureStatistics

# CloudWatch's longest metric name.
_LONGEST_NAME = 255


def build_metrics(
    analysis: Analysis, constraints: Constraints | None, at: datetime, dimensions: Mapping[str, str]
) -> str:
    """The file's lines.

    Parameters
    ----------
    analysis
        Statistics, distances and violations.
    constraints
        The baseline's, whose ``emit_metrics`` switches features off.
    at
        The time that the metrics are of: the end of the window.
    dimensions
        ``Endpoint`` and ``MonitoringSchedule``; the latter alone for a batch transform.

    Notes
    -----
    AWS's own are ``feature_data_*``, ``feature_non_null_*`` and ``feature_baseline_drift_*``; ``violation_count`` is
    what everybody builds for himself.
    """
    muted = _find_muted(constraints)
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    lines = []
    for name, value in _measure(analysis, muted):
        held = value if isinstance(value, dict) else {"Value": value}
        lines.append(
            {
                "MetricName": name[:_LONGEST_NAME],
                "Timestamp": stamp,
                "Dimensions": pairs,
                **held,
                "Unit": "Count",
            }
        )
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def _measure(analysis: Analysis, muted: frozenset[str]) -> Iterator[tuple[str, float | dict[str, Any]]]:
    yield "violation_count", float(len(analysis.violations))
    for feature in analysis.statistics.features:
        if feature.name in muted:
            continue
        common = feature.common
        if common is not None:
            yield f"feature_non_null_{feature.name}", float(common.num_present)
        summary = _summarise(feature)
        if summary is not None:
            yield f"feature_data_{feature.name}", {"StatisticValues": summary}
        if feature.name in analysis.distances:
            yield f"feature_baseline_drift_{feature.name}", analysis.distances[feature.name]


def _summarise(feature: FeatureStatistics) -> dict[str, float] | None:
    numbers = feature.numerical_statistics
    if numbers is UNSET or numbers.sum is None or numbers.min is None or numbers.max is None:
        return None
    return {
        "SampleCount": float(numbers.common.num_present),
        "Sum": numbers.sum,
        "Minimum": numbers.min,
        "Maximum": numbers.max,
    }


def _find_muted(constraints: Constraints | None) -> frozenset[str]:
    if constraints is None:
        return frozenset()
    features = constraints.features
    return frozenset(each.name for each in features if constraints.config_of(each).emit_metrics != ENABLED)
