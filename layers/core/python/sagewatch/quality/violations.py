"""``constraint_violations.json`` of all four kinds of monitor, and the sentences of data quality (CONTRACTS §2.6, §5)."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sagewatch.quality.documents import decode_document, encode_document
from sagewatch.quality.numerals import format_double

# What analyzers really write, and what the documentation and the old sample call it.
FILE_NAMES: Final = ("constraint_violations.json", "constraints_violations.json")

DATA_TYPE: Final = "data_type_check"
COMPLETENESS: Final = "completeness_check"
CATEGORIES: Final = "categorical_values_check"
DRIFT: Final = "baseline_drift_check"
MISSING_COLUMNS: Final = "missing_column_check"
EXTRA_COLUMNS: Final = "extra_column_check"
# What AWS's analyzer never looks at.
NEGATIVE: Final = "negative_values_check"
ROW_COUNT: Final = "row_count_check"
ROWS: Final = "Rows"
"""What stands for a column where a window had far fewer rows than such windows have."""
UNREADABLE: Final = "unreadable_records_check"
CLASS_SHARE: Final = "class_share_check"


_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|-?Infinity)"
_TEXTS = (
    re.compile(rf"distance: {_NUMBER} exceeds .*threshold: {_NUMBER}"),
    re.compile(rf"drift {_NUMBER} exceeds threshold {_NUMBER}"),
    re.compile(rf"Metric \S+ with {_NUMBER}(?: \+/- \S+)? was \w+ '{_NUMBER}'"),
    re.compile(rf"current dataset: {_NUMBER}.*constraints: {_NUMBER}"),
    re.compile(rf"Observed: {_NUMBER} rows\. Expected: at least {_NUMBER} rows"),
    re.compile(rf"Observed: {_NUMBER}% of records .*Expected: at most {_NUMBER}%"),
)
_SHARE = re.compile(rf"Expected match: {_NUMBER}%.*Only {_NUMBER}% of data")
_VALUE = re.compile(rf"Value:? {_NUMBER} does not meet")
# AWS's sentences are shorter; a longer text is not searched to its end.
_LONGEST_SENTENCE: Final = 2000

# A name, as analyzers write names; null and a number instead have been seen.
_Name = str | int | float | bool | None | UnsetType


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What exact mode knows about a violation beyond AWS's sentence.

    Attributes
    ----------
    mode
        ``exact`` or ``compat``: which arithmetic spoke.
    statistic, threshold
        The number that was compared, and the bound that it crossed.
    effect_size, effect_unit
        How far the data moved: ``share`` (largest difference of shares, in [0, 1]), ``percent`` or ``columns`` (how many
        are missing, or too many).
    sample_size, baseline_size
        Values compared on either side.
    mean_shift
        Difference of the means in standard deviations of the baseline; drift of numbers only.
    at
        Where the distributions part most: a number or a category.
    categories
        Values that the baseline does not know, at most 20, most frequent first; of columns their names.
    """

    mode: str = "exact"
    statistic: float | None = None
    threshold: float | None = None
    effect_size: float | None = None
    effect_unit: str = "share"
    sample_size: int | None = None
    baseline_size: int | None = None
    mean_shift: float | None = None
    at: str | None = None
    categories: list[str] = []


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One violation. Which of the names is set depends on the kind of monitor that wrote it."""

    feature_name: _Name = UNSET
    label: _Name = UNSET
    facet: _Name = UNSET
    facet_value: _Name = UNSET
    metric_name: _Name = UNSET
    constraint_check_type: str
    description: str = ""
    evidence: Evidence | UnsetType = msgspec.field(default=UNSET, name="sagewatch")

    @property
    def subject(self) -> str:
        """What it is about: data quality names a feature, bias a facet, attribution a label, model quality a metric."""
        feature, label, facet, value, metric = (
            "" if name is None or name is UNSET else str(name)
            for name in (self.feature_name, self.label, self.facet, self.facet_value, self.metric_name)
        )
        if feature:
            return feature
        parts = [f"{facet}={value}", metric] if facet else [label, metric]
        return " ".join(filter(None, parts)) or "data set"

    @property
    def numbers(self) -> tuple[float | None, float | None]:
        """What was seen and what was allowed, where the sentence says."""
        return read_numbers(self.description)


class Violations(msgspec.Struct, frozen=True):
    """A whole ``constraint_violations.json``."""

    violations: list[Violation]


_decoder = msgspec.json.Decoder(Violations, strict=False)


def parse_violations(content: bytes, where: str = "constraint_violations.json") -> Violations:
    """Read the violations of a data quality, model quality, bias or attribution monitor, AWS's or ours.

    Raises
    ------
    RejectedInputError
        When it is no such file.
    """
    return decode_document(_decoder, content, "violations", where)


def render_violations(violations: Violations) -> bytes:
    """The file's content, UTF-8; written also when there are none."""
    return encode_document(violations)


def describe_data_type(expected: str, threshold: float, ratio: float) -> str:
    """AWS's sentence on a share of values of the right type; both numbers in [0, 1]."""
    wanted, seen = format_double(threshold * 100), format_double(ratio * 100)
    return (
        f"Data type match requirement is not met. Expected data type: {expected}, Expected match: {wanted}%. "
        f"Observed: Only {seen}% of data is {expected}."
    )


def describe_value(value: float) -> str:
    """AWS's sentence on completeness and on categories, its space at the end included."""
    return f"Value: {format_double(value)} does not meet the constraint requirement! "


def describe_drift(distance: float, threshold: float) -> str:
    """AWS's sentence on drift, which its own pictures parse."""
    return f"Baseline drift distance: {format_double(distance)} exceeds threshold: {format_double(threshold)}"


def describe_columns(kind: str, current: int, expected: int) -> str:
    """AWS's sentence on a number of columns; ``kind`` is ``missing`` or ``extra``."""
    return (
        f"There are {kind} columns in current dataset. Number of columns in current dataset: {current}, "
        f"Number of columns in baseline constraints: {expected}"
    )


def build_row_violation(rows: int, expected: int, fewest: float) -> Violation:
    """Far fewer rows than such a window usually holds; ``fewest`` is the accepted share of them, in [0, 1]."""
    bound = fewest * expected
    return Violation(
        feature_name=ROWS,
        constraint_check_type=ROW_COUNT,
        description=(
            f"Row count requirement is not met. Observed: {rows} rows. Expected: at least {bound:.0f} rows, "
            f"{fewest * 100:g}% of {expected}."
        ),
        evidence=Evidence(
            statistic=float(rows), threshold=bound, effect_size=1 - rows / expected, sample_size=rows
        ),
    )


def read_numbers(description: str) -> tuple[float | None, float | None]:
    """What was seen and what was allowed, from AWS's sentences: the only place where AWS puts numbers.

    Examples
    --------
    >>> read_numbers("Baseline drift distance: 0.5 exceeds threshold: 0.1")
    (0.5, 0.1)
    """
    said = description[:_LONGEST_SENTENCE]
    for pattern in _TEXTS:
        match = pattern.search(said)
        if match:
            return float(match[1]), float(match[2])
    match = _SHARE.search(said)
    if match:
        return float(match[2]) / 100, float(match[1]) / 100
    match = _VALUE.search(said)
    return (float(match[1]), None) if match else (None, None)
