"""A data set against its baseline: AWS's six checks and those that it lacks (CONTRACTS §2.6)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from sagewatch.quality.align import Alignment, Mode
from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.constraints import ENABLED, Constraints, FeatureConstraints, MonitoringConfig
from sagewatch.quality.coverage import check_records, check_rows, check_shapes
from sagewatch.quality.drift import DriftSettings, find_drift, is_comparable
from sagewatch.quality.profile import TableProfile
from sagewatch.quality.readout import Counts
from sagewatch.quality.statistics import NUMERIC, STRING, Statistics
from sagewatch.quality.tally import name_value
from sagewatch.quality.violations import (
    CATEGORIES,
    COMPLETENESS,
    DATA_TYPE,
    NEGATIVE,
    Evidence,
    Violation,
    describe_data_type,
    describe_value,
)

_CATEGORIES_NAMED = 20


class CheckSettings(msgspec.Struct, frozen=True):
    """How a data set is judged.

    Attributes
    ----------
    drift
        Mode, accepted false alarms and smallest effect.
    expected_rows
        Rows that such a window usually holds; fewer than ``fewest_rows`` of them is a collapse. None: no check.
    fewest_rows
        Share of the expected rows, in [0, 1].
    categorical_drift_method
        ``LInfinity`` or ``ChiSquared``: goes before the constraints'.
    """

    drift: DriftSettings = DriftSettings()
    expected_rows: int | None = None
    fewest_rows: float = 0.1
    categorical_drift_method: str | None = None

    @property
    def is_exact(self) -> bool:
        """True where ours and not AWS's verdicts are asked for."""
        return self.drift.mode is Mode.EXACT


def find_violations(
    alignment: Alignment,
    constraints: Constraints,
    statistics: Statistics | None,
    settings: CheckSettings,
    counts: Counts | None = None,
) -> list[Violation]:
    """Everything in which the data depart from the baseline: columns, then types, values, and drift last.

    Parameters
    ----------
    alignment
        The data by the baseline's names.
    constraints, statistics
        The baseline; without statistics there is no check for drift.
    counts
        How much was read, and how much could not be.
    """
    found = list(alignment.violations)
    if settings.is_exact:
        found += check_rows(alignment, settings.expected_rows, settings.fewest_rows)
        if constraints.monitoring_config.evaluate_constraints == ENABLED:
            if not alignment.violations:
                found += check_shapes(alignment, constraints.monitoring_config.datatype_check_threshold)
            found += check_records(counts or Counts())
    if not alignment.comparable or not alignment.table.rows:
        return found
    pairs = [(each, alignment.table.columns.get(each.name)) for each in constraints.features]
    checked = [
        (feature, column, constraints.config_of(feature))
        for feature, column in pairs
        if column is not None and constraints.config_of(feature).evaluate_constraints == ENABLED
    ]
    for feature, column, config in checked:
        found += _check_type(feature, column, config, settings)
    baseline_rows = statistics.dataset.item_count if statistics is not None else 0
    for feature, column, config in checked:
        found += _check_completeness(feature, column, baseline_rows, settings)
        found += _check_categories(feature, column, config, settings)
        if settings.is_exact:
            found += _check_negatives(feature, column)
    if statistics is not None:
        found += _check_drift(alignment.table, constraints, statistics, settings)
    return found


def _check_type(
    feature: FeatureConstraints, column: ColumnProfile, config: MonitoringConfig, settings: CheckSettings
) -> Iterator[Violation]:
    """AWS counts exactly the expected type; in exact mode whole numbers are also fractions, and 1.0 is whole."""
    if not column.present or feature.inferred_type not in {*NUMERIC, STRING}:
        return
    matching = column.matching(feature.inferred_type, lenient=settings.is_exact)
    if settings.is_exact and feature.inferred_type == STRING:
        matching = max(matching, _count_strings(feature, column, matching))
    ratio = matching / column.present
    if not ratio < config.datatype_check_threshold:
        return
    description = describe_data_type(feature.inferred_type, config.datatype_check_threshold, ratio)
    violation = Violation(feature_name=feature.name, constraint_check_type=DATA_TYPE, description=description)
    yield _with_evidence(violation, settings, ratio, config.datatype_check_threshold, column.present)


def _count_strings(feature: FeatureConstraints, column: ColumnProfile, strings: int) -> int:
    """Numbers among strings are strings: where the baseline knows them, or, where it knows none, beside other ones."""
    if feature.domains is None:
        return column.present if strings else 0
    return sum(map(column.tally.find, feature.domains))


def _check_completeness(
    feature: FeatureConstraints, column: ColumnProfile, baseline_rows: int, settings: CheckSettings
) -> Iterator[Violation]:
    """AWS takes any drop. Exact mode takes any where nothing was missing, else a drop that chance does not explain."""
    seen = column.completeness
    if not seen < feature.completeness:
        return
    rows = column.present + column.missing
    if settings.is_exact and feature.completeness < 1:
        surprise = _surprise(column.present, rows, feature.completeness, baseline_rows)
        if surprise < math.log(1 / settings.drift.false_alarms):
            return
    violation = Violation(
        feature_name=feature.name, constraint_check_type=COMPLETENESS, description=describe_value(seen)
    )
    yield _with_evidence(violation, settings, seen, feature.completeness, rows)


def _surprise(present: int, rows: int, expected: float, baseline_rows: int) -> float:
    """Log likelihood ratio of two shares against one common share; natural logarithm, at least 0."""
    if not baseline_rows:
        return rows * _diverge(present / rows, expected)
    common = (present + expected * baseline_rows) / (rows + baseline_rows)
    return rows * _diverge(present / rows, common) + baseline_rows * _diverge(expected, common)


def _diverge(share: float, other: float) -> float:
    """Kullback-Leibler divergence of two shares."""
    first = share * math.log(share / other) if share else 0.0
    return first + ((1 - share) * math.log((1 - share) / (1 - other)) if share < 1 else 0.0)


def _check_categories(
    feature: FeatureConstraints, column: ColumnProfile, config: MonitoringConfig, settings: CheckSettings
) -> Iterator[Violation]:
    """The share of rows whose value the baseline knows; a missing value counts as known, as Deequ has it."""
    rows = column.present + column.missing
    if feature.domains is None or not rows:
        return
    tally = column.tally
    known = set(map(name_value, feature.domains))
    outside = {word: count for word, count in tally.counts.items() if word not in known}
    # Of very many values not all are counted: the baseline's may have occurred a little more often than is known.
    more = min(tally.others, tally.missed * len(known))
    share = (rows - sum(outside.values()) - tally.others + more) / rows
    new = sorted(outside, key=lambda word: (-outside[word], word))
    if not share < config.domain_content_threshold:
        return
    violation = Violation(
        feature_name=feature.name, constraint_check_type=CATEGORIES, description=describe_value(share)
    )
    violation = _with_evidence(violation, settings, share, config.domain_content_threshold, rows)
    if violation.evidence is not UNSET:
        evidence = msgspec.structs.replace(violation.evidence, categories=new[:_CATEGORIES_NAMED])
        violation = msgspec.structs.replace(violation, evidence=evidence)
    yield violation


def _check_negatives(feature: FeatureConstraints, column: ColumnProfile) -> Iterator[Violation]:
    """AWS suggests ``is_non_negative`` and never looks at it again."""
    constraints = feature.num_constraints
    if constraints is UNSET or not constraints.is_non_negative or not column.negatives:
        return
    share = column.negatives / column.present
    description = f"Negative values are not expected. Observed: {share * 100:.4g}% of data is negative."
    evidence = Evidence(
        statistic=column.moments.least, threshold=0.0, effect_size=share, sample_size=column.present
    )
    yield Violation(
        feature_name=feature.name, constraint_check_type=NEGATIVE, description=description, evidence=evidence
    )


def _check_drift(
    table: TableProfile, constraints: Constraints, statistics: Statistics, settings: CheckSettings
) -> Iterator[Violation]:
    known = {feature.name: feature for feature in statistics.features}
    compared = []
    for feature in constraints.features:
        config = constraints.config_of(feature)
        column, baseline = table.columns.get(feature.name), known.get(feature.name)
        comparison = config.distribution_constraints
        if settings.categorical_drift_method is not None:
            method = settings.categorical_drift_method
            comparison = msgspec.structs.replace(comparison, categorical_drift_method=method)
        enabled = config.evaluate_constraints == ENABLED and comparison.perform_comparison == ENABLED
        if (
            enabled
            and column is not None
            and baseline is not None
            and is_comparable(column, baseline, settings.drift.mode)
        ):
            compared.append((feature.name, column, baseline, comparison))
    for name, column, baseline, comparison in compared:
        violation = find_drift(name, column, baseline, comparison, settings.drift, len(compared))
        if violation is not None:
            yield violation


def _with_evidence(
    violation: Violation, settings: CheckSettings, seen: float, threshold: float, rows: int
) -> Violation:
    if not settings.is_exact:
        return violation
    evidence = Evidence(
        statistic=seen, threshold=threshold, effect_size=max(0.0, threshold - seen), sample_size=rows
    )
    return msgspec.structs.replace(violation, evidence=evidence)
