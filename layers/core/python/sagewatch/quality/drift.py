"""Has a feature's distribution moved: AWS's verdict, and the calibrated one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from sagewatch.quality.align import Mode
from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.constraints import DistributionConstraints
from sagewatch.quality.distance import (
    Distance,
    allow_for_chance,
    compare_chi_square,
    make_robust,
    measure_categories,
    measure_compat,
    measure_exact,
)
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import NUMERIC, STRING, FeatureStatistics
from sagewatch.quality.summary import count_categories, count_values
from sagewatch.quality.violations import DRIFT, Evidence, Violation, describe_drift

# What AWS's baselines say when nobody chose a threshold: exact mode then takes its own.
AWS_THRESHOLD: Final = 0.1
# A share that may be wrong by more than this is none to compare; it is less than any effect that is reported.
_MOST_MISSED: Final = 0.01
LINFINITY: Final = "LInfinity"
CHI_SQUARED: Final = "ChiSquared"
SIMPLE: Final = "Simple"


class DriftSettings(msgspec.Struct, frozen=True):
    """How drift is judged.

    Attributes
    ----------
    mode
        Whose verdict.
    false_alarms
        Accepted share of analyses of unchanged data that report any drift, in (0, 1); exact mode.
    smallest_effect
        A difference of shares that does not matter however sure it is, in [0, 1]; exact mode. A threshold other
        than AWS's 0.1 in the constraints goes before it.
    """

    mode: Mode = Mode.EXACT
    false_alarms: float = 0.001
    smallest_effect: float = 0.02


def is_comparable(column: ColumnProfile, baseline: FeatureStatistics, mode: Mode) -> bool:
    """True where both sides are numbers, or both strings: with few enough values in the baseline, in ``compat`` on both sides."""
    if column.inferred_type in NUMERIC and baseline.inferred_type in NUMERIC:
        sketch = baseline.sketch
        return sketch is not None and any(sketch.data) and bool(column.moments.count)
    if column.inferred_type == STRING == baseline.inferred_type:
        return bool(baseline.categories) and bool(_list_categories(column, mode))
    return False


def measure_drift(
    column: ColumnProfile, baseline: FeatureStatistics, comparison: DistributionConstraints, mode: Mode
) -> float:
    """The distance that a metric shows: AWS's in ``compat``, the plain one in ``exact``; in [0, 1]."""
    if column.inferred_type in NUMERIC:
        return _measure_numbers(column, baseline, comparison, mode)[1]
    found = measure_categories(_list_categories(column, mode), baseline.categories or {})
    if mode is Mode.EXACT or comparison.comparison_method == SIMPLE:
        return found.value
    return make_robust(found.value, found.current, found.baseline)


def find_drift(
    name: str,
    column: ColumnProfile,
    baseline: FeatureStatistics,
    comparison: DistributionConstraints,
    settings: DriftSettings,
    features: int,
) -> Violation | None:
    """The violation where a feature has drifted; ``is_comparable`` must hold.

    Parameters
    ----------
    features
        How many features the analysis compares.
    """
    if column.inferred_type in NUMERIC:
        return _judge_numbers(name, column, baseline, comparison, settings, features)
    current, expected = _list_categories(column, settings.mode), baseline.categories or {}
    if comparison.categorical_drift_method == CHI_SQUARED:
        return _judge_chi_square(name, current, expected, comparison, settings, features)
    found = measure_categories(current, expected)
    if settings.mode is Mode.COMPAT:
        distance = found.value
        if comparison.comparison_method != SIMPLE:
            distance = make_robust(distance, found.current, found.baseline)
        return _say_compat(name, distance, comparison.categorical_threshold)
    # One bound of Hoeffding a category.
    names = len(set(current) | set(expected))
    noise = allow_for_chance(found.current, found.baseline, features * names, settings.false_alarms)
    threshold = max(noise, _floor(comparison.categorical_threshold, settings))
    return _say_exact(name, found, threshold, None)


def _list_categories(column: ColumnProfile, mode: Mode) -> dict[str, int]:
    counts = count_categories(column) or {}
    few_missed = column.tally.missed <= _MOST_MISSED * column.tally.total
    return count_values(column) if mode is Mode.EXACT and not counts and few_missed else counts


def _measure_numbers(
    column: ColumnProfile, baseline: FeatureStatistics, comparison: DistributionConstraints, mode: Mode
) -> tuple[Distance, float, Sketch]:
    data = baseline.sketch
    expected = Sketch.from_data(data) if data is not None else Sketch()
    if mode is Mode.EXACT:
        found = measure_exact(column.sketch, expected)
        return found, found.value, expected
    found = measure_compat(column.sketch, expected)
    if comparison.comparison_method == SIMPLE:
        return found, found.value, expected
    return found, make_robust(found.value, found.current, found.baseline), expected


def _judge_numbers(
    name: str,
    column: ColumnProfile,
    baseline: FeatureStatistics,
    comparison: DistributionConstraints,
    settings: DriftSettings,
    features: int,
) -> Violation | None:
    found, distance, expected = _measure_numbers(column, baseline, comparison, settings.mode)
    if settings.mode is Mode.COMPAT:
        return _say_compat(name, distance, comparison.comparison_threshold)
    noise = allow_for_chance(found.current, found.baseline, features, settings.false_alarms)
    noise += column.sketch.rank_error + expected.rank_error
    threshold = max(noise, _floor(comparison.comparison_threshold, settings))
    return _say_exact(name, found, threshold, _shift(column, baseline))


def _judge_chi_square(
    name: str,
    current: Mapping[str, int],
    baseline: Mapping[str, int],
    comparison: DistributionConstraints,
    settings: DriftSettings,
    features: int,
) -> Violation | None:
    """A p-value is the smaller the surer: the sentence speaks of its complement, which exceeds as AWS's words say."""
    statistic, chance = compare_chi_square(current, baseline)
    if math.isnan(chance):
        return None
    exact = settings.mode is Mode.EXACT
    if not exact and comparison.comparison_method == SIMPLE:
        return _say_compat(name, statistic, comparison.categorical_threshold)
    accepted = settings.false_alarms / features if exact else comparison.categorical_threshold
    if not exact:
        return _say_compat(name, 1 - chance, 1 - accepted)
    found = measure_categories(current, baseline)
    if chance >= accepted or found.value <= _floor(comparison.categorical_threshold, settings):
        return None
    violation = _say_exact(name, found, 0.0, None)
    if violation is None or violation.evidence is msgspec.UNSET:
        return None
    evidence = msgspec.structs.replace(violation.evidence, statistic=statistic, threshold=accepted)
    said = describe_drift(1 - chance, 1 - accepted)
    return msgspec.structs.replace(violation, description=said, evidence=evidence)


def _floor(chosen: float, settings: DriftSettings) -> float:
    return settings.smallest_effect if chosen == AWS_THRESHOLD else chosen


def _shift(column: ColumnProfile, baseline: FeatureStatistics) -> float | None:
    numbers = baseline.numerical_statistics
    if numbers is msgspec.UNSET or not numbers.std_dev or numbers.mean is None:
        return None
    shift = (column.moments.average - numbers.mean) / numbers.std_dev
    return shift if math.isfinite(shift) else None


def _say_compat(name: str, distance: float, threshold: float) -> Violation | None:
    if not distance > threshold:
        return None
    return Violation(
        feature_name=name, constraint_check_type=DRIFT, description=describe_drift(distance, threshold)
    )


def _say_exact(name: str, found: Distance, threshold: float, shift: float | None) -> Violation | None:
    violation = _say_compat(name, found.value, threshold)
    if violation is None:
        return None
    evidence = Evidence(
        statistic=found.value,
        threshold=threshold,
        effect_size=found.value,
        sample_size=found.current,
        baseline_size=found.baseline,
        mean_shift=shift,
        at=found.at,
    )
    return msgspec.structs.replace(violation, evidence=evidence)
