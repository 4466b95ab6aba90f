"""Violations files of all four monitor kinds, in any of the shapes that were seen, as one list.

Source: DG pages of the four monitors; real files of 2019 to 2026. Descriptions are the only place where AWS
puts numbers; a text that is not known keeps its violation and loses only the numbers.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sagewatch.errors import RejectedInputError

FILE_NAMES = ("constraint_violations.json", "constraints_violations.json")
"""What analyzers really write, and what the documentation and the old sample call it."""

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|-?Infinity)"
_TEXTS = (
    re.compile(rf"distance: {_NUMBER} exceeds .*threshold: {_NUMBER}"),
    re.compile(rf"drift {_NUMBER} exceeds threshold {_NUMBER}"),
    re.compile(rf"Metric \S+ with {_NUMBER} \+/- \S+ was \w+ '{_NUMBER}'"),
    re.compile(rf"current dataset: {_NUMBER}.*constraints: {_NUMBER}"),
)
_SHARE = re.compile(rf"Expected match: {_NUMBER}%.*Only {_NUMBER}% of data")
_VALUE = re.compile(rf"Value:? {_NUMBER} does not meet")


class Violation(msgspec.Struct, frozen=True):
    """One broken constraint.

    Attributes
    ----------
    subject
        The feature, metric, facet or label concerned.
    check
        AWS's ``constraint_check_type``.
    observed, allowed
        The numbers in the description, shares in [0, 1]; None where it has none.
    """

    subject: str
    check: str
    description: str
    observed: float | None = None
    allowed: float | None = None


def parse_violations(body: bytes, where: str) -> list[Violation]:
    """The violations of a report, in the order of the file.

    Raises
    ------
    RejectedInputError
        The file is no violations file; says where.

    Examples
    --------
    >>> parse_violations(b'{"violations": []}', "s3://b/k")
    []
    """
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise RejectedInputError(f"is no JSON: {error}", where=where) from None
    rows = content.get("violations") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise RejectedInputError("must be a list", where=where, key="violations")
    return [_read(row, where, number) for number, row in enumerate(rows)]


def _read(row: Any, where: str, number: int) -> Violation:
    key = f"violations[{number}]"
    if not isinstance(row, dict):
        raise RejectedInputError("must be an object", where=where, key=key)
    check, description = row.get("constraint_check_type"), row.get("description", "")
    if not isinstance(check, str) or not isinstance(description, str):
        raise RejectedInputError("must be a text", where=where, key=f"{key}.constraint_check_type")
    observed, allowed = read_numbers(description)
    return Violation(_name(row), check, description, observed, allowed)


def _name(row: dict[str, Any]) -> str:
    """Data quality names a feature, model quality a metric, bias a facet and a metric, attribution a label."""
    if row.get("feature_name"):
        return str(row["feature_name"])
    if row.get("facet"):
        return f"{row['facet']}={row.get('facet_value', '')} {row.get('metric_name', '')}".strip()
    parts = [row.get("label"), row.get("metric_name")]
    return " ".join(str(part) for part in parts if part) or "dataset"


def read_numbers(description: str) -> tuple[float | None, float | None]:
    """What was seen and what was allowed, from AWS's sentences.

    Examples
    --------
    >>> read_numbers("Baseline drift distance: 0.5 exceeds threshold: 0.1")
    (0.5, 0.1)
    """
    for pattern in _TEXTS:
        match = pattern.search(description)
        if match:
            return float(match[1]), float(match[2])
    match = _SHARE.search(description)
    if match:
        return float(match[2]) / 100, float(match[1]) / 100
    match = _VALUE.search(description)
    return (float(match[1]), None) if match else (None, None)
