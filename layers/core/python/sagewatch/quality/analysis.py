"""The whole analysis of what was read: columns named, statistics made, constraints suggested, verdicts given."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from sagewatch.quality.align import align_tables
from sagewatch.quality.checks import CheckSettings, find_violations
from sagewatch.quality.constraints import Constraints, FeatureConstraints
from sagewatch.quality.drift import is_comparable, measure_drift
from sagewatch.quality.profile import TableProfile
from sagewatch.quality.readout import Readout
from sagewatch.quality.statistics import Statistics
from sagewatch.quality.summary import build_statistics, suggest_constraints
from sagewatch.quality.violations import Violation


class Baseline(msgspec.Struct, frozen=True):
    """What the data are compared with; without statistics there is no check for drift."""

    constraints: Constraints
    statistics: Statistics | None = None


class Analysis(msgspec.Struct, frozen=True):
    """What is known of a data set, and what departs from its baseline.

    Attributes
    ----------
    statistics, constraints
        Of these data, as a baseline of them would have them.
    violations
        Empty where there is no baseline.
    distances
        How far each comparable feature lies from its baseline, in [0, 1].
    left_out
        Rows of other shapes than those compared, a count for each number of columns.
    """

    statistics: Statistics
    constraints: Constraints
    violations: list[Violation]
    distances: dict[str, float]
    left_out: dict[int, int]


def build_baseline(constraints: Constraints | None, statistics: Statistics | None) -> Baseline | None:
    """A baseline of what is there: without constraints, those that the statistics imply; None without either."""
    if constraints is not None:
        return Baseline(constraints, statistics)
    if statistics is None:
        return None
    features = [
        FeatureConstraints(each.name, each.inferred_type, each.completeness or 0.0)
        for each in statistics.features
    ]
    return Baseline(Constraints(0.0, features), statistics)


def analyze(
    readout: Readout,
    baseline: Baseline | None = None,
    settings: CheckSettings | None = None,
    excluded: Collection[str] = (),
) -> Analysis:
    """Make statistics of what was read and compare them with a baseline.

    Parameters
    ----------
    readout
        A data set that was read; at least one row.
    baseline
        None to make a baseline.
    settings
        Mode and bounds of the verdicts.
    excluded
        Names of features that are none of the analysis's business.
    """
    settings = settings or CheckSettings()
    expected = baseline.constraints.names if baseline is not None else None
    alignment = align_tables(readout.tables, expected, settings.drift.mode)
    table = alignment.table.pick([name for name in alignment.table.columns if name not in excluded])
    violations: list[Violation] = []
    distances: dict[str, float] = {}
    if baseline is not None:
        kept = [each for each in baseline.constraints.features if each.name not in excluded]
        constraints = msgspec.structs.replace(baseline.constraints, features=kept)
        violations = find_violations(alignment, constraints, baseline.statistics, settings, readout.counts)
        if alignment.comparable:
            distances = _measure(table, Baseline(constraints, baseline.statistics), settings)
    return Analysis(
        build_statistics(table), suggest_constraints(table), violations, distances, alignment.left_out
    )


def _measure(table: TableProfile, baseline: Baseline, settings: CheckSettings) -> dict[str, float]:
    distances = {}
    known = {each.name: each for each in baseline.constraints.features}
    for feature in baseline.statistics.features if baseline.statistics is not None else []:
        column, constraint = table.columns.get(feature.name), known.get(feature.name)
        if column is None or constraint is None or not is_comparable(column, feature, settings.drift.mode):
            continue
        comparison = baseline.constraints.config_of(constraint).distribution_constraints
        distances[feature.name] = measure_drift(column, feature, comparison, settings.drift.mode)
    return distances
