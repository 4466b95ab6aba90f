"""Preprocess scripts on files that are no captures: every format, headers, and what Python spells as missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sagewatch.quality import scripted
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.profile import Shape
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.workers import read_dataset

DOUBLE = "def preprocess_handler(record):\n    return {'twice': 2 * record['a']}\n"
AS_IT_IS = "def preprocess_handler(record):\n    return record\n"


def run(tmp_path, body, data, kind, header=None):
    path, script = tmp_path / "data", tmp_path / "script.py"
    if isinstance(data, pa.Table):
        pq.write_table(data, path)
    else:
        path.write_text(data)
    script.write_text(body)
    return read_dataset([path], ReadSettings(DatasetFormat(kind, header=header), preprocessor=str(script)))


def values(readout, name):
    return readout.tables.by_shape[Shape(0)].columns[name].categories


def test_a_csv_header_is_no_record(tmp_path):
    body = "def preprocess_handler(line):\n    a, b = line.split(',')\n    return {'a': a, 'b': b}\n"
    readout = run(tmp_path, body, "a,b\n1,2\n3,4\n", FileKind.CSV, header=True)
    assert (readout.tables.rows, readout.counts.lines) == (2, 3)
    assert values(readout, "b") == {"2": 1, "4": 1}


def test_lines_that_the_script_gives_back_have_the_headers_names(tmp_path):
    readout = run(tmp_path, AS_IT_IS, "a,b\n1,2\n3\n5,6\n", FileKind.CSV, header=True)
    assert values(readout, "b") == {"2": 1, "6": 1}
    assert [(each.line, each.reason) for each in readout.rejected] == [(3, "column_count")]
    bare = run(tmp_path, AS_IT_IS, "1,2\n3,4\n", FileKind.CSV, header=False)
    assert [shape.width for shape in bare.tables.by_shape] == [2]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (FileKind.JSON, json.dumps([{"a": 1}, {"a": 2}])),
        (FileKind.JSON, json.dumps({"instances": [{"a": 1}, {"a": 2}]})),
        (FileKind.JSON_LINES, '{"a": 1}\n{"a": 2}\n'),
        (FileKind.PARQUET, pa.table({"a": [1, 2]})),
    ],
)
def test_every_format_goes_through_the_script(tmp_path, monkeypatch, kind, data, large):
    if large:
        monkeypatch.setattr(scripted, "LARGEST_WHOLE_DOCUMENT", 1)
    assert values(run(tmp_path, DOUBLE, data, kind), "twice") == {"2": 1, "4": 1}


def test_a_broken_record_is_located_and_the_script_never_sees_it(tmp_path):
    readout = run(tmp_path, DOUBLE, '{"a": 1}\n{"a"\n{"a": 2}\n', FileKind.JSON_LINES)
    assert values(readout, "twice") == {"2": 1, "4": 1}
    assert [(each.line, each.reason) for each in readout.rejected] == [(2, "not_json")]
    assert run(tmp_path, DOUBLE, '[{"a": 1}]', FileKind.JSON).tables.rows == 1


def test_a_large_document_that_breaks_off_keeps_what_came_before(tmp_path, monkeypatch):
    monkeypatch.setattr(scripted, "LARGEST_WHOLE_DOCUMENT", 1)
    readout = run(tmp_path, DOUBLE, '[{"a": 1}, {"a"', FileKind.JSON)
    assert values(readout, "twice") == {"2": 1}
    assert [(each.line, each.reason) for each in readout.rejected] == [(2, "unending_document")]


def test_numpys_numbers_are_numbers_and_what_is_missing_to_python_is_missing(tmp_path):
    body = (
        "import numpy as np\n"
        "def preprocess_handler(record):\n"
        "    return {'f': np.float64(1.5), 'i': np.int64(3), 'b': np.bool_(True), 'n': np.nan, 't': np.datetime64('NaT')}\n"
    )
    table = run(tmp_path, body, '{"a": 1}\n', FileKind.JSON_LINES).tables.by_shape[Shape(0)]
    kinds = {name: column.inferred_type for name, column in table.columns.items()}
    assert kinds == {"f": "Fractional", "i": "Integral", "b": "String", "n": "Unknown", "t": "Unknown"}
    assert table.columns["b"].categories == {"true": 1}


COPY = "def preprocess_handler(record):\n    return dict(record)\n"
DRAWN = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
TYPED = {
    "text": pa.array([b"12", b"\xff", None]),
    "money": pa.array([Decimal("1.50"), Decimal("-2.00"), None]),
    "at": pa.array([DRAWN, None, DRAWN], pa.timestamp("ms", "UTC")),
    "day": pa.array([DRAWN.date(), None, DRAWN.date()]),
    "list": pa.array([[1, 2], [], None]),
    "real": pa.array([1.0, 0.5, float("nan")], pa.float32()),
    "word": pa.array(["a", "b", None]).dictionary_encode(),
    "inner": pa.array([{"raw": b"1", "deep": {"on": True}}, {"raw": b"2", "deep": None}, None]),
}


def read_columns(readout):
    return {
        name: dict(column.categories) for name, column in readout.tables.by_shape[Shape(0)].columns.items()
    }


def test_parquet_that_a_script_gives_back_is_spelled_as_without_one(tmp_path):
    table = pa.table(TYPED)
    scripted_ = read_columns(run(tmp_path, AS_IT_IS, table, FileKind.PARQUET))
    plain = read_columns(read_dataset([tmp_path / "data"], ReadSettings(DatasetFormat(FileKind.PARQUET))))
    assert scripted_ == plain
    assert plain["text"].keys() == {"12", "b'\\xff'"}


@pytest.mark.parametrize("script", [AS_IT_IS, COPY], ids=["as it is", "copy"])
def test_floats_of_any_size_are_spelled_alike_with_a_script_and_without(tmp_path, script):
    values = [
        0.0,
        -0.0,
        0.1,
        -1e-4,
        1e-5,
        -1e-6,
        1e-7,
        5e-324,
        12345.0,
        9999999999.5,
        1e10,
        123456789012.5,
        1e16,
        -1e22,
    ]
    table = pa.table({"double": values, "single": pa.array(values, pa.float32())})
    scripted_ = read_columns(run(tmp_path, script, table, FileKind.PARQUET))
    plain = read_columns(read_dataset([tmp_path / "data"], ReadSettings(DatasetFormat(FileKind.PARQUET))))
    assert scripted_ == plain
    assert plain["double"].keys() == set(map(repr, values))


def test_a_row_of_parquet_that_a_script_changed_in_place_is_taken_as_it_is_then(tmp_path):
    body = (
        "def preprocess_handler(record):\n    del record['money'], record['inner']['deep']\n"
        "    record['day'] = {'of': 'week'}\n    record['inner']['more'] = 3\n    record['real'] = 'x'\n    return record\n"
    )
    table = pa.table({name: column[:1] for name, column in TYPED.items()})
    columns = read_columns(run(tmp_path, body, table, FileKind.PARQUET))
    wanted = {
        "text": "12",
        "day.of": "week",
        "inner.raw": "1",
        "inner.more": "3",
        "real": "x",
        "word": "a",
        "list": "[1, 2]",
    }
    assert {name: columns[name] for name in wanted} == {name: {value: 1} for name, value in wanted.items()}
    assert columns.keys() == {*wanted, "at"}


def test_bytes_that_a_script_returns_are_the_text_that_they_are(tmp_path):
    columns = read_columns(run(tmp_path, COPY, pa.table({"text": TYPED["text"]}), FileKind.PARQUET))
    assert columns["text"].keys() == {"12", "b'\\xff'"}
