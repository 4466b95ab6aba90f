"""Profiles merge whatever the order, and no bytes whatever make a reader raise, hang or lose count."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.constraints import parse_constraints
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.distance import make_robust, measure_compat, measure_exact
from sagewatch.quality.inference import classify_strings, classify_text
from sagewatch.quality.notebook import show_distributions, show_violations
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.readout import Readout
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import parse_statistics, render_statistics
from sagewatch.quality.summary import build_statistics
from sagewatch.quality.violations import parse_violations
from sagewatch.quality.workers import read_dataset
from tests.unit.quality.records import capture_line
from tests.unit.quality.tables import profile_of

NUMERALS = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0", "1", "0.0", "1.0", "- 3", "1e5", "+7"]),
)
VALUES = st.one_of(NUMERALS, st.text(max_size=4).filter(lambda text: text.isprintable()), st.none())
COLUMNS = st.lists(VALUES, max_size=40)


def attempt(function, *given):
    """What a function answers, or the reason for which it refused."""
    try:
        return function(*given), None
    except RejectedInputError as error:
        return None, error


def value_of(text):
    """What two spellings of a number have in common."""
    if text is None or classify_text(text) > 1 or not math.isfinite(number := float(text.replace(" ", ""))):
        return text
    return number


def column_of(values):
    column = ColumnProfile()
    column.add(pa.array(values, pa.string()))
    return column


@settings(max_examples=150, deadline=None)
@given(st.lists(COLUMNS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_parts_of_a_column_merge_to_the_whole_in_any_order(parts, random):
    whole = column_of([value for part in parts for value in part])
    shuffled = list(parts)
    random.shuffle(shuffled)
    merged = ColumnProfile()
    for part in shuffled:
        merged.merge(ColumnProfile.from_state(column_of(part).to_state()))
    assert (merged.missing, merged.kinds.tolist(), merged.whole, merged.negatives) == (
        whole.missing,
        whole.kinds.tolist(),
        whole.whole,
        whole.negatives,
    )
    assert merged.inferred_type == whole.inferred_type
    assert merged.categories == whole.categories
    distinct = {value_of(value) for part in parts for value in part} - {None}
    assert merged.distinct.count == whole.distinct.count == len(distinct)
    assert (merged.moments.least, merged.moments.most) == (whole.moments.least, whole.moments.most)
    assert sorted(merged.sketch.level(0).tolist()) == sorted(whole.sketch.level(0).tolist())
    size = sum(abs(value) for value in whole.sketch.level(0).tolist())
    if math.isfinite(size):
        assert merged.moments.total == pytest.approx(whole.moments.total, abs=size * 1e-12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(NUMERALS, st.text(max_size=6)), max_size=20))
def test_arrays_and_strings_have_the_same_types(values):
    values = [value for value in values if value.isprintable() or value.isascii()]
    kinds, numbers = classify_strings(pa.array(values, pa.string()))
    assert kinds.tolist() == [classify_text(value) for value in values]
    assert len(numbers) == len(values)


@settings(max_examples=100, deadline=None)
@given(st.lists(COLUMNS, min_size=1, max_size=3))
def test_statistics_are_always_a_file_that_is_read_again(columns):
    rows = min(map(len, columns))
    table = profile_of({f"c{at}": column[:rows] for at, column in enumerate(columns)})
    statistics = build_statistics(table)
    assert parse_statistics(render_statistics(statistics)) == statistics
    for feature in statistics.features:
        assert sum(bar.count for bar in feature.buckets) <= table.columns[feature.name].moments.count


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=50),
    st.lists(st.integers(-5, 5), min_size=1, max_size=50),
)
def test_distances_are_shares_zero_for_equal_data_and_the_same_both_ways(one, other):
    sketches = []
    for values in (one, other):
        sketch = Sketch()
        sketch.add(np.array(values, dtype=float))
        sketches.append(sketch)
    for measure in (measure_compat, measure_exact):
        found = measure(*sketches)
        assert 0 <= found.value <= 1
        assert found.value == measure(*reversed(sketches)).value
        assert measure(sketches[0], sketches[0]).value == 0
        assert 0 <= make_robust(found.value, found.current, found.baseline) <= found.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.one_of(
    st.text(max_size=20), JSON.map(json.dumps), st.just("1,2\n3,4"), st.just('"a'), st.just("\ud800")
)
SIDES = st.tuples(
    st.sampled_from(["CSV", "JSON", "BASE64", "?", None]),
    st.sampled_from(["text/csv", "application/json", "application/jsonlines", "image/png", "", None]),
)
LINES = st.one_of(
    st.binary(max_size=40).map(lambda junk: junk.replace(b"\n", b" ")),
    JSON.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps({"captureData": value}).encode()),
    st.builds(capture_line, PAYLOADS, PAYLOADS, sent_as=SIDES, answered_as=SIDES).map(str.encode),
    st.just(capture_line().encode()),
)
KINDS = st.sampled_from([FileKind.CAPTURE, FileKind.CSV, FileKind.JSON_LINES, FileKind.JSON])


def read(tmp_path_factory, content, kind, header=None):
    path = tmp_path_factory.mktemp("fuzz") / "data"
    path.write_bytes(content)
    return read_dataset([path], ReadSettings(DatasetFormat(kind, header)))


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=8))
def test_every_capture_line_is_rows_or_an_error_response_or_rejected(tmp_path_factory, lines):
    content = b"".join(line + b"\n" for line in lines)
    readout, error = attempt(read, tmp_path_factory, content, FileKind.CAPTURE)
    if error is not None:
        assert "not one line" in error.reason
        assert error.line is not None
        return
    counts = readout.counts
    blank = sum(not line.strip() for line in lines)
    assert counts.lines == len(lines)
    # A request may hold several rows, and rows that make no table are rejected one by one.
    assert readout.tables.rows + counts.error_responses + counts.rejected + blank >= len(lines)
    assert all(1 <= each.line <= len(lines) and each.reason for each in readout.rejected)
    assert Readout.decode(readout.encode()).counts == counts


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), KINDS, st.sampled_from([None, True, False]))
def test_no_bytes_make_a_reader_raise_anything_but_a_located_reason(tmp_path_factory, content, kind, header):
    readout, error = attempt(read, tmp_path_factory, content, kind, header)
    if error is not None:
        assert error.where
        return
    for table in readout.tables.by_shape.values():
        statistics = build_statistics(table)
        assert parse_statistics(render_statistics(statistics)) == statistics


@settings(max_examples=100, deadline=None)
@given(JSON | st.builds(dict, features=JSON, violations=JSON, monitoring_config=JSON))
def test_any_json_is_a_report_or_refused_and_never_a_traceback(given_json):
    content = json.dumps(given_json).encode()
    for parse in (parse_statistics, parse_constraints, parse_violations, Readout.decode):
        _, error = attempt(parse, content)
        assert error is None or error.where


@settings(max_examples=60, deadline=None)
@given(st.lists(COLUMNS, min_size=1, max_size=3), st.text(max_size=10))
def test_pictures_are_drawn_of_whatever_there_is(columns, name):
    rows = min(map(len, columns))
    one = build_statistics(profile_of({f"{name}<{at}>": column[:rows] for at, column in enumerate(columns)}))
    other = build_statistics(
        profile_of({f"{name}<{at}>": list(reversed(column)) for at, column in enumerate(columns[:1])})
    )
    files = [render_statistics(one), render_statistics(other)]
    picture = show_distributions(files[0], files[1])._repr_html_()
    assert f"{name}<0>" not in picture
    assert "&lt;0&gt;" in picture
    violations = {
        "violations": [
            {"feature_name": name, "description": name, "constraint_check_type": "data_type_check"}
        ]
    }
    assert "<table>" in show_violations(files[0], violations)._repr_html_()
