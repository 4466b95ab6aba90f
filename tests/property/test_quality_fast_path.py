"""Reading many lines at once gives what reading them one by one gives, to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.quality.captures import Window, read_time
from sagewatch.quality.cells import PackedColumn, join_columns, split_cells
from sagewatch.quality.column import IN_ORDER, ColumnProfile
from sagewatch.quality.columnar import spell_column
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.moments import count_equal
from sagewatch.quality.payload import spell
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.rows import parse_any_csv, parse_csv_block
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.template import learn_template
from sagewatch.quality.workers import read_dataset
from tests.unit.quality.records import capture_line

CELLS = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["", "0", "1", "-0", "1.0", "- 3", "1e5", "true", "é", "12345678", "123456789", " ", '"', "\t"]
    ),
    st.text(max_size=10).filter(lambda text: not set(text) & set(',\n\r"') and text.isprintable()),
)


def states_of(columns):
    states = []
    for values in columns:
        column = ColumnProfile()
        column.add(values)
        states.append(column.to_state())
    return states


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=30)
    )
)
def test_plain_csv_is_profiled_as_arrow_reads_it(rows):
    width = len(rows[0]) if rows else 1
    content = "\n".join(",".join(row) for row in rows).encode()
    fast, odd = parse_csv_block(content, width)
    slow, slow_odd = parse_any_csv(content, width)
    assert odd == slow_odd
    assert states_of(fast) == states_of(slow)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 4))
def test_bytes_are_plain_csv_only_where_arrow_finds_the_same_cells(content, width):
    columns = split_cells(content, width)
    if columns is None or not content.strip(b"\n"):
        return
    cells = [
        (column.to_strings() if isinstance(column, PackedColumn) else column).to_pylist()
        for column in columns
    ]
    slow, odd = parse_any_csv(content, width)
    assert (odd, cells) == ([], [column.to_pylist() for column in slow])


@pytest.mark.parametrize("decimals", [0, 3])
def test_a_large_column_is_profiled_the_same_from_strings_and_from_packed_ones(decimals):
    """Beyond the number of values whose order counts."""
    rng = np.random.default_rng(11)
    values = rng.normal(50, 30, 2 * IN_ORDER).round(decimals)
    words = [str(int(value)) if not decimals else repr(value) for value in values.tolist()]
    words[7], words[9] = "", "x"
    content = "\n".join(f"{word},1" for word in words).encode()
    fast, slow = parse_csv_block(content, 2)[0], parse_any_csv(content, 2)[0]
    assert isinstance(fast[0], PackedColumn)
    assert states_of(fast) == states_of(slow)


def test_blocks_of_letters_and_blocks_of_longer_cells_are_one_column():
    blocks = [["1", "2"], ["", "3"], ["10", "4"], ["twelve", ""], ["5", "6"]]
    parts = [split_cells("".join(f"{cell},x\n" for cell in block).encode(), 2)[0] for block in blocks]
    assert {part.nbytes // len(part) for part in parts} == {1, 8}
    whole = join_columns(parts)
    assert whole.to_strings().to_pylist() == [cell or None for block in blocks for cell in block]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats()), max_size=20), st.sampled_from([pa.float32(), pa.float64()])
)
def test_a_column_of_floats_is_spelled_as_its_values_are_one_by_one(values, kind):
    """A preprocess script gives the values, Parquet without one the column."""
    column = pc.cast(pa.array(values, pa.float64()), kind, safe=False)
    assert spell_column(column).to_pylist() == list(map(spell, column.to_pylist()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=9000))
def test_counted_values_keep_their_number_and_their_ranks(numbers):
    sketch = Sketch()
    sketch.add_counted(*count_equal(np.array(numbers, dtype=float)))
    assert sketch.total == len(numbers)
    items, weights = sketch.weighted()
    for value in (-25, 0, 25):
        share = weights[items <= value].sum() / len(numbers)
        assert abs(share - sum(number <= value for number in numbers) / len(numbers)) <= 8 / len(numbers)


VALUES = st.one_of(CELLS, st.sampled_from(["1,2", "a\nb", "x\\y", '"quoted"', "1,2\n", "5\r\n", "é", ""]))
TIMES = st.sampled_from(
    ["2026-11-21T10:00:00Z", "2026-11-21T10:59:59Z", "2026-11-21T11:00:00Z", "", "yesterday"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(VALUES, VALUES, TIMES), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from([("CSV", "text/csv"), ("CSV", None), ("JSON", "application/json")]),
)
def test_records_at_once_are_records_one_by_one(tmp_path_factory, records, in_a_window, answered_as):
    """A blank before a colon, in every line at another place, makes each line a shape of its own."""
    window = (
        Window(read_time("2026-11-21T10:00:00Z"), read_time("2026-11-21T11:00:00Z"))
        if in_a_window
        else Window()
    )
    lines = []
    for asked, said, time in records:
        record = json.loads(capture_line(asked, said, answered_as=answered_as))
        record["eventMetadata"]["inferenceTime"] = time
        lines.append(record)
    alike = [json.dumps(record, separators=(",", ":")) for record in lines]
    unlike = [line.replace(":", " " * (at + 1) + ":", 1) for at, line in enumerate(alike)]
    read = []
    for content in (alike, unlike):
        path = tmp_path_factory.mktemp("alike") / "data.jsonl"
        path.write_text("\n".join(content) + "\n")
        try:
            read.append(read_dataset([path], ReadSettings(DatasetFormat(FileKind.CAPTURE), window)))
        except RejectedInputError as error:
            read.append(error)
    fast, slow = read
    assert type(fast) is type(slow)
    if isinstance(fast, RejectedInputError):
        assert (fast.reason, fast.line) == (slow.reason, slow.line)
        return
    assert fast.counts == slow.counts
    assert [(each.line, each.reason) for each in fast.rejected] == [
        (each.line, each.reason) for each in slow.rejected
    ]
    assert fast.tables.by_shape.keys() == slow.tables.by_shape.keys()
    for shape, table in fast.tables.by_shape.items():
        other = slow.tables.by_shape[shape]
        assert {name: column.to_state() for name, column in table.columns.items()} == {
            name: column.to_state() for name, column in other.columns.items()
        }


def test_the_lines_of_an_endpoint_are_read_at_once():
    """So that the tests above compare two ways, and not one with itself."""
    lines = [capture_line(f"{number},2", f"0.{number}\n", event_id=f"e-{number}") for number in range(9)]
    block = ("\n".join(lines) + "\n").encode()
    template = learn_template(lines[0].encode())
    fields = template.match(block)
    assert fields.asked.cut(block) == [b"%d,2" % number for number in range(9)]
    assert fields.said.cut(block) == [b"0.%d" % number for number in range(9)]
    assert template.match(block.replace(b'"CSV"', b'"JSO"', 1)) is None
    assert template.match(block.replace(b"3,2", b'3\\"2')) is None
    assert template.match(block.replace(b"3,2", b"3\t2")) is None
    for other in (b"3,2,1", b"32", b"3\x802"):
        assert template.match(block.replace(b"3,2", other)) is None
    # As many commas in all, one of them in another field.
    assert template.match(block.replace(b"3,2", b"32").replace(b"0.3", b"0,3")) is None


def test_an_id_with_commas_is_no_cell():
    lines = [capture_line(f"{number},2", f"0.{number}\n", event_id=f"e,{number},x") for number in range(9)]
    block = ("\n".join(lines) + "\n").encode()
    fields = learn_template(lines[0].encode()).match(block)
    assert (fields.asked.width, fields.said.width) == (2, 1)
    assert fields.asked.cut(block) == [b"%d,2" % number for number in range(9)]
