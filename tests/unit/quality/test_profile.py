"""Types, moments, distinct counts, sketches and what they say together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sagewatch.errors import RejectedInputError
from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.distinct import DistinctCounter, hash_strings
from sagewatch.quality.inference import KIND_FRACTIONAL, KIND_INTEGRAL, classify_strings, classify_text
from sagewatch.quality.profile import MOST_SHAPES, Shape, Tables
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import parse_statistics, render_statistics
from sagewatch.quality.summary import build_statistics, suggest_constraints
from tests.unit.quality.tables import batch_of, profile_of

ODD = ["1", "-1", "+1", "- 3", "1.0", ".5", "1.", "1e5", "1e-05", "-2.5E+3", "1e", "--1", "1.2.3", "5-3", "", " 1", "1 ",
       "NaN", "inf", "1,000", "0x1A", "true", "false", "True", "é", "9" * 400, "1e999", "٣", "1\n"]  # fmt: skip


def test_whole_arrays_are_classified_as_single_strings_are():
    kinds, values = classify_strings(pa.array(ODD, pa.string()))
    assert kinds.tolist() == [classify_text(text) for text in ODD]
    for text, kind, value in zip(ODD, kinds, values, strict=True):
        if kind in {KIND_INTEGRAL, KIND_FRACTIONAL}:
            assert value == float(text.replace(" ", ""))
        else:
            assert np.isnan(value)


def test_a_slice_of_an_array_is_classified_and_hashed_as_itself():
    whole = pa.array(["a", "12", "0.5", "x", "7"], pa.string())
    part = whole.slice(1, 2)
    assert classify_strings(part)[1].tolist() == [12.0, 0.5]
    assert hash_strings(part).tolist() == hash_strings(pa.array(["12", "0.5"])).tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "1"], "Integral"),
        (["0", "1.0"], "Fractional"),
        (["0", "1e-05"], "Fractional"),
        (["0", "true"], "String"),
        (["true", "false"], "String"),
        (["0", "?"], "String"),
        ([None, None], "Unknown"),
        ([None, "3"], "Integral"),
        (["", "3"], "String"),
    ],
)
def test_a_columns_type_follows_from_its_strings(values, expected):
    assert build_statistics(profile_of({"x": values})).features[0].inferred_type == expected


@pytest.mark.parametrize(("count", "sizes"), [(3000, [950, 1025]), (9999, [169, 1167, 1874])])
def test_a_sketch_has_the_sizes_of_aws_own(count, sizes):
    sketch = Sketch()
    sketch.add(np.arange(count, dtype=float))
    assert [len(sketch.level(number)) for number in range(len(sketch.levels))] == sizes
    assert sketch.total == count


def test_a_sketch_does_not_depend_on_the_cuts_of_its_stream():
    values = np.random.default_rng(3).normal(size=20_000)
    whole, pieces = Sketch(), Sketch()
    whole.add(values)
    for piece in np.array_split(values, 37):
        pieces.add(piece)
    assert whole.to_data() == pieces.to_data()
    assert Sketch.from_state(whole.to_state()).to_data() == whole.to_data()


@pytest.mark.parametrize("order", ["random", "sorted", "sawtooth"])
def test_ranks_of_a_sketch_stay_within_its_error(order):
    count = 60_000
    values = np.random.default_rng(5).permutation(count).astype(float)
    if order == "sorted":
        values = np.sort(values)
    elif order == "sawtooth":
        values = np.arange(count, dtype=float).reshape(-1, 3).T.ravel()
    one, other = Sketch(), Sketch()
    one.add(values[: count // 3])
    other.add(values[count // 3 :])
    one.merge(other)
    items, weights = one.weighted()
    by_value = np.argsort(items)
    ranks = np.cumsum(weights[by_value]) / count
    assert np.abs(ranks - (items[by_value] + 1) / count).max() < one.rank_error
    assert one.total == count


def test_distinct_values_are_exact_while_few_and_close_when_many():
    few, many = DistinctCounter(), DistinctCounter()
    few.add(hash_strings(pa.array([f"id-{number % 900}" for number in range(3000)])))
    assert few.count == 900
    for start in range(0, 100_000, 20_000):
        many.add(hash_strings(pa.array([f"{number / 7}" for number in range(start, start + 25_000)])))
    assert many.count == pytest.approx(105_000, rel=0.06)


def test_numbers_of_a_constant_column_fill_the_last_bar():
    feature = build_statistics(profile_of({"x": ["4"] * 7})).features[0]
    assert [bar.count for bar in feature.buckets] == [0.0] * 9 + [7.0]
    assert feature.numerical_statistics.std_dev == 0.0


def test_epoch_milliseconds_have_right_bounds():
    feature = build_statistics(profile_of({"t": ["1700000000000", "1700000001000"]})).features[0]
    assert feature.buckets[0].lower_bound == 1700000000000.0
    assert sum(bar.count for bar in feature.buckets) == 2


def test_numbers_beyond_doubles_keep_the_file_readable():
    statistics = build_statistics(
        profile_of({"x": ["1e999", "1e308", "1e308", "-1e999"], "y": ["1e999"] * 4})
    )
    assert parse_statistics(render_statistics(statistics)) == statistics
    assert statistics.features[0].numerical_statistics.common.num_present == 4


def test_missing_values_are_a_category_and_many_strings_are_none():
    table = profile_of(
        {"few": ["a", "a", None, *["a"] * 118], "many": [f"v{number}" for number in range(121)]}
    )
    constraints = suggest_constraints(table)
    assert constraints.features[0].domains == ["a", "NullValue"]
    assert constraints.features[0].completeness == pytest.approx(120 / 121)
    assert constraints.features[1].domains is None


def test_a_name_that_some_rows_lack_is_missing_in_them():
    table = profile_of({"a": ["1", "2"]})
    table.add(batch_of({"b": ["x"]}))
    assert (table.columns["a"].missing, table.columns["b"].missing, table.rows) == (1, 2, 3)


def test_a_partial_profile_travels_whole():
    tables = Tables()
    values = [str(value) for value in np.random.default_rng(1).normal(size=5000)]
    tables.add(batch_of({"_c0": values, "_c1": ["a", None] * 2500}, Shape(2, 1)))
    back = Tables.decode(tables.encode())
    shape = Shape(2, 1)
    assert build_statistics(back.by_shape[shape]) == build_statistics(tables.by_shape[shape])
    assert back.encode() == tables.encode()


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x81\xa6tables\x90", b"not msgpack at all"])
def test_what_is_no_partial_profile_is_refused(content):
    with pytest.raises(RejectedInputError):
        Tables.decode(content)


def test_rows_of_too_many_shapes_are_refused_and_not_counted():
    tables = Tables()
    for width in range(1, MOST_SHAPES + 1):
        assert tables.add(batch_of({f"_c{n}": ["1"] for n in range(width)}, Shape(width)))
    assert not tables.add(batch_of({f"_c{n}": ["1"] for n in range(99)}, Shape(99)))
    assert tables.rows == MOST_SHAPES


def test_an_empty_column_profile_says_nothing_wrong():
    column = ColumnProfile()
    column.add(pa.array([], pa.string()))
    assert (column.present, column.completeness, column.inferred_type) == (0, 0.0, "Unknown")
