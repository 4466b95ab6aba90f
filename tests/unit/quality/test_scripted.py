"""Preprocess scripts on files that are no captures: every format, headers, and what Python spells as missing."""

from __future__ import annotations

import json

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
