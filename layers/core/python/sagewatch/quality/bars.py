"""Distributions as bars: one side's or two sides' on the same buckets, so that heights can be compared."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import Final

import msgspec

from sagewatch.quality.statistics import INTEGRAL, STRING, FeatureStatistics

BUCKETS: Final = 20
CATEGORIES_SHOWN: Final = 10


class Bar(msgspec.Struct, frozen=True):
    """Shares of the values in a bucket or category, in [0, 1]; None for a side that is not there."""

    label: str
    current: float | None
    baseline: float | None


def build_bars(current: FeatureStatistics | None, baseline: FeatureStatistics | None = None) -> list[Bar]:
    """The bars of a feature; none where neither side has a distribution.

    Numbers are counted anew in equal buckets over the range of both sides, a few whole numbers one by one; strings show the most frequent values.
    A side of another type than the first one is left out.
    """
    leading = current if current is not None and _has_bars(current) else baseline
    if leading is None or not _has_bars(leading):
        return []
    sides = [
        side if side is not None and _has_bars(side) and _is_string(side) == _is_string(leading) else None
        for side in (current, baseline)
    ]
    return _build_categories(*sides) if _is_string(leading) else _build_buckets(*sides)


def measure_move(bars: list[Bar], *, ordered: bool) -> float | None:
    """How far a distribution moved, in [0, 1]; None where a side is not there. For the eye: verdicts are made elsewhere.

    Parameters
    ----------
    ordered
        True for numbers: the largest difference of cumulated shares. False for categories: of single shares.

    Examples
    --------
    >>> round(measure_move([Bar("1", 0.2, 0.5), Bar("2", 0.8, 0.5)], ordered=False), 6)
    0.3
    """
    differences = [
        bar.current - bar.baseline for bar in bars if bar.current is not None and bar.baseline is not None
    ]
    if not differences:
        return None
    return max(map(abs, itertools.accumulate(differences) if ordered else differences))


def share_out(feature: FeatureStatistics, edges: list[float]) -> list[float]:
    """Shares of a number's values between neighbouring edges, from its sketch, else spread over its buckets."""
    counts = [0.0] * (len(edges) - 1)

    def place(value: float) -> int:
        # By comparison: the distance of two doubles may be none.
        return 0 if value <= edges[0] else min(len(counts) - 1, bisect_right(edges, value) - 1)

    if feature.sketch is not None and any(feature.sketch.data):
        for level, items in enumerate(feature.sketch.data):
            for item in items:
                counts[place(item)] += 1 << level
    else:
        for bucket in feature.buckets:
            first, last = place(bucket.lower_bound), place(bucket.upper_bound)
            for at in range(first, last + 1):
                counts[at] += bucket.count / (last - first + 1)
    total = sum(counts) or 1.0
    return [count / total for count in counts]


def _is_string(feature: FeatureStatistics) -> bool:
    return feature.inferred_type == STRING


def _has_bars(feature: FeatureStatistics) -> bool:
    return bool(feature.categories) if _is_string(feature) else bool(feature.buckets)


def _build_buckets(current: FeatureStatistics | None, baseline: FeatureStatistics | None) -> list[Bar]:
    bounds = [bar for side in (current, baseline) if side is not None for bar in side.buckets]
    least, most = min(bar.lower_bound for bar in bounds), max(bar.upper_bound for bar in bounds)
    whole = all(side is None or side.inferred_type == INTEGRAL for side in (current, baseline))
    if whole and most - least < BUCKETS:
        # A few whole numbers: a bar each, under its own name.
        values = range(int(least), int(most) + 1)
        labels = [str(value) for value in values]
        edges = [value - 0.5 for value in (*values, values[-1] + 1)]
    else:
        edges = [least * (1 - at / BUCKETS) + most * (at / BUCKETS) for at in range(BUCKETS)] + [most]
        labels = [f"{low / 2 + high / 2:.4g}" for low, high in itertools.pairwise(edges)]
    shares = [None if side is None else share_out(side, edges) for side in (current, baseline)]
    return [
        Bar(label, *(None if side is None else side[at] for side in shares))
        for at, label in enumerate(labels)
    ]


def _build_categories(current: FeatureStatistics | None, baseline: FeatureStatistics | None) -> list[Bar]:
    counts = [None if side is None else side.categories or {} for side in (current, baseline)]
    totals = [sum(side.values()) or 1 if side else 1 for side in counts]
    # Both sides' most frequent values: a category that is gone is as telling as one that is new.
    names: dict[str, None] = {}
    for side in counts:
        for name in sorted(side or {}, key=lambda each, side=side: (-side[each], each))[:CATEGORIES_SHOWN]:  # type: ignore[misc]
            names.setdefault(name)
    return [
        Bar(
            name,
            *(
                None if side is None else side.get(name, 0) / total
                for side, total in zip(counts, totals, strict=True)
            ),
        )
        for name in names
    ]
