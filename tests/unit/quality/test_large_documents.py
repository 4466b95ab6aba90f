"""Files that are one document: read in stretches, record by record, row group by row group."""

from __future__ import annotations

import io
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.quality import elements, reading, workers
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.elements import UnendingDocumentError, find_depth, iterate_elements
from sagewatch.quality.profile import Shape
from sagewatch.quality.reading import Piece, ReadSettings
from sagewatch.quality.workers import read_dataset

JSON = ReadSettings(DatasetFormat(FileKind.JSON))
PARQUET = ReadSettings(DatasetFormat(FileKind.PARQUET))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(['"', "\\", "[{,", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=8), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_elements_are_those_of_the_document_wherever_it_is_cut(values, size, indent, wrapped):
    document = {"instances": values} if wrapped else values
    content = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    patched, elements._READ = elements._READ, size
    try:
        found = [json.loads(each) for each in iterate_elements(io.BytesIO(content), 2 if wrapped else 1)]
    finally:
        elements._READ = patched
    assert found == values


@settings(max_examples=200, deadline=None)
@given(st.text('[]{},"\\:a1 \n', max_size=40).map(str.encode) | st.binary(max_size=40), st.integers(1, 2))
def test_bytes_of_any_kind_end_in_elements_or_in_one_error(content, depth):
    try:
        assert sum(map(len, iterate_elements(io.BytesIO(content), depth))) <= len(content)
    except UnendingDocumentError as error:
        assert str(error)  # noqa: PT017 - raising is allowed, not demanded


@pytest.mark.parametrize(
    ("head", "depth"),
    [
        (b"[{", 1),
        (b" [\n [", 1),
        (b'{"instances": [1', 2),
        (b"[1, 2", None),
        (b'{"a": [', None),
        (b'{"b": 1', None),
    ],
)
def test_the_depth_of_the_records_is_told_by_the_first_bytes(head, depth):
    assert find_depth(head) == depth


def test_a_large_document_is_read_as_a_small_one_is(tmp_path, monkeypatch):
    path = tmp_path / "data.json"
    path.write_text(json.dumps([{"a": number, "b": {"c": [number, "x"]}} for number in range(500)], indent=1))
    whole = read_dataset([path], JSON)
    monkeypatch.setattr(reading, "LARGEST_WHOLE_DOCUMENT", 100)
    parts = read_dataset([path], JSON)
    assert parts.counts == whole.counts
    assert {shape: table.rows for shape, table in parts.tables.by_shape.items()} == {
        shape: table.rows for shape, table in whole.tables.by_shape.items()
    }
    assert parts.tables.encode() == whole.tables.encode()


def test_a_large_document_that_breaks_off_keeps_what_came_before(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_WHOLE_DOCUMENT", 10)
    path = tmp_path / "data.json"
    path.write_text('[{"a": 1}, {"a": NaN}, {"a": x}, {"a"')
    readout = read_dataset([path], JSON)
    assert readout.tables.rows == 2
    assert [(each.line, each.reason) for each in readout.rejected] == [
        (3, "not_json"),
        (4, "unending_document"),
    ]


def test_a_large_document_that_is_one_record_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_WHOLE_DOCUMENT", 10)
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"a": list(range(100))}))
    with pytest.raises(RejectedInputError, match="list of records"):
        read_dataset([path], JSON)


def test_row_groups_are_shared_out_and_none_is_lost(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path, row_group_size=64)
    size = path.stat().st_size
    for cuts in ([0, size], [0, size // 3, size // 2, size], [0, 1, 2, size]):
        shares = [[Piece(str(path), start, end)] for start, end in itertools.pairwise(cuts)]
        parts = [workers._read_here(share, PARQUET, 0, None) for share in shares]
        column = workers._join(shares, parts).tables.by_shape[Shape(0)].columns["a"]
        assert (column.moments.count, column.moments.total) == (1000, 499500.0)
    assert len(workers.plan_shares([path], PARQUET, 4)) == 4
