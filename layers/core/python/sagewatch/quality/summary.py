"""From a profile to the two files of a baseline: statistics, and the constraints that they suggest."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import UNSET, UnsetType

from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.constraints import (
    MOST_CATEGORIES,
    NULL_CATEGORY,
    Constraints,
    DistributionConstraints,
    FeatureConstraints,
    MonitoringConfig,
    NumericConstraints,
    StringConstraints,
)
from sagewatch.quality.profile import TableProfile
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import (
    NUMERIC,
    STRING,
    Bucket,
    Categorical,
    CategoryCount,
    Common,
    DatasetStatistics,
    FeatureStatistics,
    Kll,
    NumericalDistribution,
    NumericalStatistics,
    Statistics,
    StringDistribution,
    StringStatistics,
)

BUCKETS: Final = 10
OTHER_CATEGORY: Final = "(other values)"


def build_statistics(table: TableProfile) -> Statistics:
    """What ``statistics.json`` says of a table."""
    features = [_describe(name, column) for name, column in table.columns.items()]
    return Statistics(0.0, DatasetStatistics(table.rows), features)


def suggest_constraints(table: TableProfile) -> Constraints:
    """What a baseline of this table would expect, as AWS's analyzer suggests it."""
    features = [_suggest(name, column) for name, column in table.columns.items()]
    comparison = DistributionConstraints(
        categorical_comparison_threshold=0.1, categorical_drift_method="LInfinity"
    )
    return Constraints(0.0, features, MonitoringConfig(distribution_constraints=comparison))


def build_buckets(sketch: Sketch, least: float, most: float) -> list[Bucket]:
    """Ten bars of equal width from the smallest to the largest value, counted in the sketch.

    The bounds are computed as Deequ computes them, so that they equal AWS's to the last bit; a constant column
    gives nine empty bars and a full one. Where the last bound is rounded to below the largest value, AWS's bars
    lose that value, and so do these: six real columns show it.
    """
    items, weights = sketch.weighted()
    by_value = np.argsort(items)
    ranks = np.concatenate([[0], np.cumsum(weights[by_value])])
    bounds = [_bound(least, most, number) for number in range(BUCKETS + 1)]
    below = ranks[np.searchsorted(items[by_value], bounds)].tolist()
    # The last bar holds its upper bound too.
    below_last = int(ranks[np.searchsorted(items[by_value], bounds[-1], side="right")])
    tops = [*below[1:-1], below_last]
    return [Bucket(bounds[at], bounds[at + 1], float(tops[at] - below[at])) for at in range(BUCKETS)]


def _bound(least: float, most: float, number: int) -> float:
    bound = least + (most - least) * number / float(BUCKETS)
    if math.isfinite(bound):
        return bound
    # The product leaves the range of doubles; what lies between the two ends does not.
    return least * (1 - number / BUCKETS) + most * (number / BUCKETS)


def count_categories(column: ColumnProfile) -> dict[str, int] | None:
    """A string column's values and how often each occurs, most frequent first; what is missing is a category too.

    None where there are too many to be categories.
    """
    if column.categories is None or len(column.categories) > MOST_CATEGORIES:
        return None
    counts = dict(column.categories)
    if column.missing:
        counts[NULL_CATEGORY] = counts.get(NULL_CATEGORY, 0) + column.missing
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def count_values(column: ColumnProfile) -> dict[str, int]:
    """What ``count_categories`` tells, of any number of values; those that are not counted one by one are one category."""
    counts = dict(column.tally.counts)
    for name, count in ((NULL_CATEGORY, column.missing), (OTHER_CATEGORY, column.tally.others)):
        if count:
            counts[name] = counts.get(name, 0) + count
    return counts


def _describe(name: str, column: ColumnProfile) -> FeatureStatistics:
    kind = column.inferred_type
    common = Common(column.present, column.missing)
    if kind in NUMERIC and column.moments.count:
        return FeatureStatistics(name, kind, numerical_statistics=_describe_numbers(column, common))
    if kind == STRING:
        return FeatureStatistics(name, kind, string_statistics=_describe_strings(column, common))
    return FeatureStatistics(name, kind)


def _describe_numbers(column: ColumnProfile, common: Common) -> NumericalStatistics:
    moments = column.moments
    buckets = build_buckets(column.sketch, moments.least, moments.most)
    return NumericalStatistics(
        common,
        mean=moments.average,
        sum=moments.total,
        std_dev=moments.std_dev,
        min=moments.least,
        max=moments.most,
        approximate_num_distinct_values=column.distinct.count,
        completeness=column.completeness,
        distribution=NumericalDistribution(Kll(buckets, column.sketch.to_data())),
    )


def _describe_strings(column: ColumnProfile, common: Common) -> StringStatistics:
    counts = count_categories(column)
    distribution: StringDistribution | UnsetType = UNSET
    if counts is not None:
        bars = [CategoryCount(value, count) for value, count in counts.items()]
        distribution = StringDistribution(Categorical(bars))
    return StringStatistics(common, float(column.distinct.count), column.completeness, distribution)


def _suggest(name: str, column: ColumnProfile) -> FeatureConstraints:
    kind = column.inferred_type
    numbers: NumericConstraints | UnsetType = UNSET
    strings: StringConstraints | UnsetType = UNSET
    if kind in NUMERIC:
        numbers = NumericConstraints(not column.negatives)
    elif kind == STRING:
        counts = count_categories(column)
        if counts is not None:
            strings = StringConstraints(list(counts))
    return FeatureConstraints(name, kind, column.completeness, numbers, strings)
