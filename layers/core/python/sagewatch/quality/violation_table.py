"""The second notebook's table: every feature, what is expected of it, what was seen, and where the two part."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import UNSET

from sagewatch.quality.statistics import Statistics
from sagewatch.quality.violations import (
    CATEGORIES,
    COMPLETENESS,
    DATA_TYPE,
    DRIFT,
    EXTRA_COLUMNS,
    MISSING_COLUMNS,
    NEGATIVE,
    ROW_COUNT,
    UNREADABLE,
    Evidence,
    Violation,
)

NOT_AVAILABLE: Final = "N/A"
_IN_ROWS: Final = re.compile(r" in [\d.e+-]+% of rows")
_WANTED_TYPE = re.compile(r"Expected data type: (\w+)")
# New categories that a cell has room for.
_CATEGORIES_SHOWN: Final = 5
# A foreign file may name any number.
_MOST_NAMED: Final = 1_000_000
_METRIC = re.compile(r"Metric (\S+) with .* was (\w+) '")


class Finding(msgspec.Struct, frozen=True):
    """One violation in three words: which check, what it wants, what it saw."""

    check: str
    expected: str
    seen: str


class ViolationRow(msgspec.Struct, frozen=True):
    """A feature's line in the table.

    Attributes
    ----------
    feature
        Its name; for a violation of the data set as a whole, what it is about.
    inferred_type, completeness, baseline_drift, categorical_values
        The notebook's four columns, ``N/A`` where there is nothing to tell.
    failed
        Names of the columns whose check failed.
    findings
        Every violation of the feature.
    """

    feature: str
    inferred_type: str = NOT_AVAILABLE
    completeness: str = NOT_AVAILABLE
    baseline_drift: str = NOT_AVAILABLE
    categorical_values: str = NOT_AVAILABLE
    failed: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


_COLUMN_OF: Final = {
    DATA_TYPE: "inferred_type",
    COMPLETENESS: "completeness",
    DRIFT: "baseline_drift",
    CATEGORIES: "categorical_values",
}


def build_violation_table(statistics: Statistics, violations: list[Violation]) -> list[ViolationRow]:
    """A row a feature by name, then a row for whatever else violations speak of: columns, metrics, facets.

    Parameters
    ----------
    statistics
        Of the data that were monitored.
    violations
        Of any kind of monitor; a feature without statistics has a row of its own.
    """
    by_subject: dict[str, list[Violation]] = {}
    for violation in violations:
        by_subject.setdefault(violation.subject, []).append(violation)
    rows = [
        _build_row(
            feature.name, feature.inferred_type, feature.completeness, by_subject.pop(feature.name, [])
        )
        for feature in sorted(statistics.features, key=lambda feature: feature.name)
    ]
    others = [_build_row(name, NOT_AVAILABLE, None, by_subject[name]) for name in sorted(by_subject)]
    return rows + others


def read_finding(violation: Violation, inferred_type: str = NOT_AVAILABLE) -> Finding:
    """What a violation wants and saw, from its sentence; a sentence that is not known is shown as it is.

    Examples
    --------
    >>> read_finding(Violation(constraint_check_type="baseline_drift_check",
    ...     description="Baseline drift distance: 0.17 exceeds threshold: 0.1"))
    Finding(check='baseline_drift_check', expected='at most 0.1', seen='0.17')
    """
    check, said = violation.constraint_check_type, violation.description.strip()
    seen, allowed = violation.numbers
    if violation.evidence is not UNSET and (told := _read_evidence(check, violation.evidence)):
        return Finding(check, *told)
    if seen is None:
        return Finding(check, "", said)
    if allowed is None:
        return Finding(check, "as in the baseline", f"{seen:.4g}")
    if match := _WANTED_TYPE.search(said):
        return Finding(check, f"{allowed * 100:.4g} % {match[1]}", f"{seen * 100:.4g} % ({inferred_type})")
    if "baseline constraints:" in said:
        match = _IN_ROWS.search(said)
        rows = match[0] if match else ""
        return Finding(check, f"{allowed:.0f} columns", f"{seen:.0f} columns{rows}{name_columns(violation)}")
    if match := _METRIC.search(said):
        return Finding(check, f"not {match[2]} {allowed:.4g}", f"{seen:.4g}")
    return Finding(check, f"at most {allowed:.4g}", f"{seen:.4g}")


def name_columns(violation: Violation) -> str:
    """Which columns are missing or too many: of a renamed one the numbers tell nothing."""
    if violation.evidence is UNSET or violation.constraint_check_type not in {MISSING_COLUMNS, EXTRA_COLUMNS}:
        return ""
    names = violation.evidence.categories
    if not names:
        return ""
    # The names are cut, their number is not.
    left = max(len(names), min(int(violation.evidence.effect_size or 0), _MOST_NAMED)) - _CATEGORIES_SHOWN
    kind = "missing" if violation.constraint_check_type == MISSING_COLUMNS else "extra"
    more = f" and {left} more" if left > 0 else ""
    return f"; {kind}: {', '.join(names[:_CATEGORIES_SHOWN])}{more}"


def _read_evidence(check: str, evidence: Evidence) -> tuple[str, str] | None:
    """What exact mode knows beyond the sentence; None where the sentence says it all."""
    seen, bound = evidence.statistic, evidence.threshold
    if seen is None or bound is None:
        return None
    if check == NEGATIVE:
        return "none below 0", f"{(evidence.effect_size or 0) * 100:.4g} % below 0, least {seen:.4g}"
    if check == ROW_COUNT:
        return f"at least {bound:.0f} rows", f"{seen:.0f} rows"
    if check == UNREADABLE:
        return f"at most {bound * 100:.4g} %", f"{seen * 100:.4g} % of records"
    if check in {COMPLETENESS, CATEGORIES}:
        new = ", ".join(evidence.categories[:_CATEGORIES_SHOWN])
        return f"at least {bound * 100:.4g} %", f"{seen * 100:.4g} %" + (f"; new: {new}" if new else "")
    return None


def _build_row(
    name: str, inferred_type: str, completeness: float | None, violations: list[Violation]
) -> ViolationRow:
    drift = categories = NOT_AVAILABLE
    for violation in violations:
        seen = violation.numbers[0]
        if seen is None:
            continue
        if violation.constraint_check_type == DRIFT:
            drift = f"{seen:.2%}"
        elif violation.constraint_check_type == CATEGORIES:
            categories = f"{seen:.2%}"
    return ViolationRow(
        name,
        inferred_type,
        NOT_AVAILABLE if completeness is None else f"{completeness:.2%}",
        drift,
        categories,
        frozenset(_COLUMN_OF.get(each.constraint_check_type, "feature") for each in violations),
        tuple(read_finding(each, inferred_type) for each in violations),
    )
