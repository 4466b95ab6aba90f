"""Violations of all four kinds, as real analyzers wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.quality.violations import parse_violations, read_numbers

REAL = Path(__file__).parents[4] / "shared" / "real"
FILES = sorted(REAL.glob("reports/*/*violations*.json")) or [None]


@pytest.mark.real
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}" if path else "none")
def test_every_real_violations_file_reads_whole(path):
    if path is None:
        pytest.skip("../shared/real is not here: real reports are read in place")
    rows = json.loads(path.read_text())["violations"]
    violations = parse_violations(path.read_bytes(), path.name).violations
    assert len(violations) == len(rows)
    for violation, row in zip(violations, rows, strict=True):
        assert violation.constraint_check_type == row["constraint_check_type"]
        assert violation.subject
        assert violation.subject != "data set" or "feature_name" not in row


@pytest.mark.parametrize(
    ("description", "numbers"),
    [
        ("Baseline drift distance: 0.17354640931273702 exceeds threshold: 0.1", (0.17354640931273702, 0.1)),
        ("Numerical distance: 0.2711598746081505 exceeds numerical threshold: 0", (0.2711598746081505, 0.0)),
        (
            (
                "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
                "Observed: Only 62.616822429906534% of data is Integral."
            ),
            (0.6261682242990653, 1.0),
        ),
        (
            "Value: 0.009009009009009009 does not meet the constraint requirement! ",
            (0.009009009009009009, None),
        ),
        ("Value 0.0751544567666083 does not meet the constraint requirement", (0.0751544567666083, None)),
        (
            "Metric r2 with -53.790146743270654 +/- 4.829550001308316 was LessThanThreshold '-7.7419149776821'",
            (-53.790146743270654, -7.7419149776821),
        ),
        ("Feature attribution drift 0.7639720927323277 exceeds threshold 0.9", (0.7639720927323277, 0.9)),
        (
            (
                "There are missing columns in current dataset. Number of columns in current dataset: 8, "
                "Number of columns in baseline constraints: 9"
            ),
            (8.0, 9.0),
        ),
        ("A sentence of next year", (None, None)),
    ],
)
def test_numbers_are_read_out_of_every_known_sentence(description, numbers):
    observed, allowed = read_numbers(description)
    assert (observed, allowed) == (
        pytest.approx(numbers[0], rel=1e-12) if numbers[0] is not None else None,
        numbers[1],
    )


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["violations", "feature_name", "description", "constraint_check_type"]), x)).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_no_bytes_however_strange_raise_anything_else(body):
    try:
        parse_violations(body, "s3://b/k")
    except RejectedInputError as error:
        assert error.where == "s3://b/k"  # noqa: PT017 (raising is allowed, not demanded)


def test_a_name_that_is_null_or_a_number_loses_no_violation():
    rows = [
        {"feature_name": None, "label": "l", "constraint_check_type": "x"},
        {"facet": "age", "facet_value": 40, "metric_name": "CDDL", "constraint_check_type": "x"},
        {"constraint_check_type": "x"},
    ]
    found = parse_violations(json.dumps({"violations": rows}).encode()).violations
    assert [each.subject for each in found] == ["l", "age=40 CDDL", "data set"]


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"violations": [{}]}', '{"violations": [3]}', '{"violations": null}']
)
def test_a_file_without_violations_or_checks_is_no_report(content):
    with pytest.raises(RejectedInputError):
        parse_violations(content.encode(), "s3://b/k")


def test_a_sentence_made_to_be_slow_is_read_at_once():
    assert read_numbers("distance: 1 exceeds " * 500_000) == (None, None)
