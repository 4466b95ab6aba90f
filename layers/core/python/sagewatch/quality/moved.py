"""Which features moved most against a baseline, ranked: what a tabular model's owner looks at first. Needs msgspec alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import msgspec
from msgspec import UNSET

from sagewatch.quality.bars import Bar, build_bars
from sagewatch.quality.statistics import STRING, FeatureStatistics, Statistics


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A feature beside its baseline.

    Attributes
    ----------
    distance
        Numbers: largest difference of the two cumulated histograms, which the Kolmogorov-Smirnov distance is at least;
        strings: largest difference of a value's shares. In [0, 1].
    bars
        Both distributions on the same buckets or values.
    mean, usual_mean
        Of a number, now and in the baseline; None for strings.
    missing, usual_missing
        Share of values that are not there, in [0, 1]; None where it is not told.
    """

    name: str
    distance: float
    bars: tuple[Bar, ...]
    mean: float | None = None
    usual_mean: float | None = None
    missing: float | None = None
    usual_missing: float | None = None


def rank_features(current: Statistics, baseline: Statistics) -> list[Moved]:
    """The features that both sides have with a distribution, the farthest first; equal ones by name."""
    known = {feature.name: feature for feature in baseline.features}
    moved = [_compare(feature, known[feature.name]) for feature in current.features if feature.name in known]
    return sorted((one for one in moved if one is not None), key=lambda one: (-one.distance, one.name))


def measure_bars(bars: Sequence[Bar], *, ordered: bool) -> float:
    """How far two distributions on the same bars lie apart.

    Examples
    --------
    >>> shifted = [Bar("1", 0.0, 0.5), Bar("2", 0.5, 0.5), Bar("3", 0.5, 0.0)]
    >>> measure_bars(shifted, ordered=True), measure_bars(shifted, ordered=False)
    (0.5, 0.5)
    """
    gaps = [(bar.current or 0.0) - (bar.baseline or 0.0) for bar in bars]
    return max((abs(gap) for gap in (accumulate(gaps) if ordered else gaps)), default=0.0)


def _compare(current: FeatureStatistics, baseline: FeatureStatistics) -> Moved | None:
    bars = build_bars(current, baseline)
    if not bars or all(bar.current is None for bar in bars) or all(bar.baseline is None for bar in bars):
        return None
    return Moved(
        name=current.name,
        distance=measure_bars(bars, ordered=current.inferred_type != STRING),
        bars=tuple(bars),
        mean=_mean(current),
        usual_mean=_mean(baseline),
        missing=_missing(current),
        usual_missing=_missing(baseline),
    )


def _mean(feature: FeatureStatistics) -> float | None:
    numbers = feature.numerical_statistics
    return None if numbers is UNSET else numbers.mean


def _missing(feature: FeatureStatistics) -> float | None:
    return None if feature.completeness is None else 1 - feature.completeness
