"""Data sets as they are found: an empty file before the captures, a broken first line, a picture among tables."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sagewatch.errors import RejectedInputError
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.files import find_files, sniff_dataset, sniff_format
from sagewatch.quality.profile import Shape
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.workers import read_dataset
from tests.unit.quality.records import capture_line

CSV = DatasetFormat(FileKind.CSV, header=True)


def read(folder, form=None):
    files = find_files(folder)
    return read_dataset(files, ReadSettings(form or sniff_dataset(files)))


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def names(readout):
    (table,) = readout.tables.by_shape.values()
    return list(table.columns)


def test_captures_are_known_behind_an_empty_file_and_a_note(tmp_path):
    folder = write(tmp_path, a_jsonl="", README_md="# what this is\n", z_jsonl=capture_line("1,2", "3"))
    assert sniff_dataset(find_files(folder)).kind is FileKind.CAPTURE
    assert [shape.outputs for shape in read(folder).tables.by_shape] == [1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"captureData": broken\n' + capture_line() + "\n", FileKind.CAPTURE),
        ('{"a": tr\n{"a": 1}\n{"a": 2}\n', FileKind.JSON_LINES),
        ('{"a": NaN}\n{"a": 1}\n', FileKind.JSON_LINES),
        ('\ufeff{"a": 1}\n{"a": 2}\n', FileKind.JSON_LINES),
        ('[\n{"a": 1},\n{"a": 2}\n]\n', FileKind.JSON),
        ('{\n "a": {},\n "b": []\n}', FileKind.JSON),
        ("[\n [1, 2],\n [3, 4]\n", FileKind.JSON),
    ],
)
def test_a_broken_first_line_does_not_decide_what_a_file_is(tmp_path, text, kind):
    path = tmp_path / "data"
    path.write_text(text)
    assert sniff_format(path).kind is kind


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}\n{"a": 2}\n',
        f"{capture_line()}\n{capture_line()}\n",
        '[{"a": 1}, {"a": 2}]',
        "a,b\n1,2\n3,4\n",
    ],
)
def test_a_mark_before_the_first_record_is_no_part_of_it(tmp_path, text, mark):
    path = tmp_path / "data"
    path.write_text(mark + text)
    readout = read(path)
    assert (readout.tables.rows, readout.counts.rejected) == (2, 0)
    assert "\ufeff" not in "".join(names(readout))


def test_json_lines_with_nan_are_read_as_captures_with_nan_are(tmp_path):
    readout = read(write(tmp_path, data_jsonl='{"a": NaN, "b": 1}\n{"a": 1.5, "b": 2}\n'))
    assert (readout.tables.rows, readout.counts.rejected) == (2, 0)


def test_nan_is_missing_and_the_column_stays_one_of_numbers_as_in_parquet(tmp_path):
    """Model servers written in Python print it; as text it is a string, as any other."""
    readout = read(write(tmp_path, data_jsonl='{"a": NaN}\n{"a": 1.5}\n{"a": -Infinity}\n{"a": 2.5}\n'))
    column = readout.tables.by_shape[Shape(0)].columns["a"]
    assert (column.inferred_type, column.missing, column.present) == ("Fractional", 2, 2)
    readout = read(write(tmp_path, data_jsonl='{"a": "NaN"}\n{"a": 1.5}\n'))
    assert readout.tables.by_shape[Shape(0)].columns["a"].inferred_type == "String"


def test_a_file_that_is_none_among_others_that_are_is_counted_and_located(tmp_path):
    folder = write(tmp_path, a_csv="x,y\n1,2\n", b_csv=b"\xff\xfe\x00", c_csv="x,y\n3,4\n")
    readout = read(folder, CSV)
    assert readout.tables.rows == 2
    assert [(each.where, each.line, each.reason) for each in readout.rejected] == [
        (str(folder / "b.csv"), 1, "no CSV in UTF-8")
    ]


def test_a_broken_parquet_file_does_not_take_the_others_with_it(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    write(tmp_path, b_parquet=b"PAR1junkPAR1")
    readout = read(tmp_path)
    assert (readout.tables.rows, readout.counts.rejected) == (2, 1)
    assert readout.rejected[0].reason.startswith("no Parquet (")


def test_nothing_but_files_that_are_none_is_fatal_and_says_why(tmp_path):
    with pytest.raises(
        RejectedInputError, match=r"b\.parquet, line 1: not one line could be read \(1 no Parquet"
    ):
        read(write(tmp_path, b_parquet=b"PAR1junkPAR1"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"a,b\n1,2\n"), "compressed by gzip: unpack it"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16 or UTF-32: save it in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "a picture"),
        (b"PK\x03\x04\x00", "a ZIP archive"),
        ("a,b\n1,2\n".encode("utf-16-le"), "binary"),
        ("é,b\n1,2\n".encode("latin-1") + bytes(2), "binary"),
        (b"\n<!DOCTYPE html>\n<p>404</p>\n", "a page of HTML or XML"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a page of HTML or XML"),
    ],
    ids=["gzip", "utf-16", "png", "zip", "utf-16-le", "latin-1", "html", "xml"],
)
def test_a_stranger_is_called_by_its_name(tmp_path, content, said):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(RejectedInputError, match=said):
        sniff_format(path)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a,a,a1", ["a0", "a1_", "a1"]),
        ("a,a,a0,a1", ["a0_", "a1_", "a0", "a1"]),
        (",age,city", ["_c0", "age", "city"]),
        ("a,,_c1", ["a", "_c11", "_c12"]),
    ],
)
def test_every_column_of_a_header_keeps_a_name_of_its_own(tmp_path, header, expected):
    row = ",".join(map(str, range(header.count(",") + 1)))
    readout = read(write(tmp_path, data_csv=f"{header}\n{row}\n"))
    assert (names(readout), readout.tables.rows) == (expected, 1)


def test_a_nul_among_text_is_a_character(tmp_path):
    readout = read(write(tmp_path, data_csv=b"a,b\n1,2\x00\n3,4\n"))
    assert (readout.tables.rows, names(readout)) == (2, ["a", "b"])


def test_a_page_beside_tables_is_one_bad_line_and_no_column(tmp_path):
    readout = read(write(tmp_path, a_csv="a,b\n1,2\n", b_csv="<html>\n<p>404</p>\n"))
    assert (names(readout), readout.counts.rejected) == (["a", "b"], 1)


@pytest.mark.parametrize("content", ["[]", "[]\n[]\n"])
def test_a_list_of_nothing_is_no_record(tmp_path, content):
    with pytest.raises(RejectedInputError, match="no_values"):
        read(write(tmp_path, data_jsonl=content))


def test_records_without_values_are_no_data_and_beside_others_have_all_missing(tmp_path):
    assert read(write(tmp_path, data_jsonl="{}\n{}\n")).tables.is_empty
    (table,) = read(write(tmp_path, data_jsonl='{}\n{"a": 1}\n')).tables.by_shape.values()
    assert (table.rows, table.columns["a"].missing) == (2, 1)


def test_too_many_columns_are_called_so(tmp_path):
    with pytest.raises(RejectedInputError, match="more than 10000 columns"):
        read(write(tmp_path, data_csv=",".join("1" * 10_001)))
