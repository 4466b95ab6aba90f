"""CSV with quotes that nobody closed, and with line breaks inside of values: each line is a row or is told of."""

from __future__ import annotations

import csv
import io
import random

import pytest

from sagewatch.quality import csv_file, csv_records
from sagewatch.quality.csv_records import MOST_LINES, mend_rows
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.profile import Shape
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.workers import read_dataset


def read(folder, content, header=True, script=None, workers=1):
    path = folder / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = ReadSettings(DatasetFormat(FileKind.CSV, header=header))
    if script is not None:
        (folder / "s.py").write_text(script)
        settings = ReadSettings(settings.format, preprocessor=str(folder / "s.py"))
    return read_dataset([path], settings, workers)


def told(readout):
    return [(each.line, each.reason) for each in readout.rejected]


def values(readout, name):
    return readout.tables.by_shape[Shape(0)].columns[name].categories


@pytest.mark.parametrize("opened", ['"x,1', '1,"x'], ids=["first column", "last column"])
def test_a_quote_that_nobody_closes_costs_its_own_line_alone(tmp_path, opened):
    lines = [f"{number},{number}" for number in range(5000)]
    lines[10] = opened
    readout = read(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    assert (readout.tables.rows, told(readout)) == (4999, [(12, "unclosed_quote")])


@pytest.mark.parametrize(
    ("opening", "closing"),
    [('5,1,"Doe, J', '7,8,"Roe"'), ('5,1,"ab, b', '7,8,"x'), ('5,"a, b, c', '7,"x",1')],
)
def test_a_value_with_commas_whose_quote_nobody_closes_swallows_no_rows(tmp_path, opening, closing):
    rows = [f"{number},2,c" for number in range(500)]
    text = "\n".join([*rows, opening, *rows, closing, *rows]) + "\n"
    readout = read(tmp_path, text, header=False)
    assert readout.tables.rows >= 1500
    assert (501, "unclosed_quote") in told(readout)


STRAY = [('5,"Doe, J', '7,Roe"'), ('"5,Doe', '7",Roe'), ('5,"', '7"'), ('5,"Doe, J', '7,Roe, K"'), ('"', '"')]


@pytest.mark.parametrize(("opening", "closing"), STRAY)
@pytest.mark.parametrize("between", [19, 20, 300, 3000])
@pytest.mark.parametrize("script", [None, "def preprocess_handler(r):\n    return r\n"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [500, 4 << 20])
def test_two_stray_quotes_swallow_no_rows_whatever_is_read_at_a_time(
    tmp_path, monkeypatch, opening, closing, between, script, workers, size
):
    """A quote that opens and, many lines later, one that closes are one value by the letter of CSV."""
    monkeypatch.setattr(csv_file, "TABLE_BLOCK", size)
    rows = [f"{number},w" for number in range(between)]
    lines = ['1,"a, b"', '2,"p\nq"', opening, *rows, closing, '3,"c, d"', *rows]
    readout = read(tmp_path, "a,b\n" + "\n".join(lines) + "\n", script=script, workers=workers)
    assert readout.tables.rows + readout.counts.rejected == 2 * between + 5
    assert readout.tables.rows >= 2 * between + 3
    assert {line for line, _ in told(readout)} <= {5, 6 + between}
    if script is None:  # a script is given every line as it is, and may make a row of it
        assert (5, "unclosed_quote") in told(readout)


def test_a_value_of_some_lines_that_look_like_rows_is_a_value(tmp_path):
    """Below 20 line breaks, or where a tenth of the lines are no rows, what is written is believed."""
    for inner in (["x,y"] * 18, (["x,y"] * 5 + ["see, for instance, this"]) * 10):
        value = "\n".join(["Dear Bob, Al,", *inner, "yours, Al, and Bob"])
        readout = read(tmp_path, f'a,b\n1,"{value}"\n2,3\n')
        assert (readout.tables.rows, told(readout)) == (2, [])


def test_two_quotes_far_apart_do_not_make_one_value_of_all_between(tmp_path):
    lines = ['"x,1', *["1,2"] * (2 * MOST_LINES), '"y,1']
    readout = read(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    assert readout.tables.rows == 2 * MOST_LINES
    assert told(readout) == [(2, "unclosed_quote"), (2 * MOST_LINES + 3, "unclosed_quote")]


@pytest.mark.parametrize("every", [2, 20, 500, 900])
@pytest.mark.parametrize("opened", ['1,"x,3', '"1,x,3', '1,x,"3'], ids=["middle", "first", "last"])
@pytest.mark.parametrize("script", [None, "def preprocess_handler(r):\n    return r\n"])
def test_quotes_that_nobody_closes_cost_their_own_lines_however_often_they_come(
    tmp_path, every, opened, script
):
    lines = [opened if number % every == every // 2 else f"{number},w,3" for number in range(4000)]
    bad = lines.count(opened)
    readout = read(tmp_path, "a,b,c\n" + "\n".join(lines) + "\n", script=script)
    if script is None:
        assert (readout.tables.rows, readout.counts.rejected) == (4000 - bad, bad)
        assert {reason for _, reason in told(readout)} == {"unclosed_quote"}
    else:
        assert readout.tables.rows + readout.counts.rejected == 4000


@pytest.mark.parametrize(
    "value",
    [
        "Dear Bob,\nthank you, all\n\nyours, Al",
        "x\n1,2,3\ny",
        "a, b\n" * 40,
        'he said "no",\nand left',
        "q" * 200_000,
    ],
    ids=["a letter", "one line like a row", "one comma a line", "quotes", "long"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_of_several_lines_is_read_whole(tmp_path, value, place):
    cells = ["1", "2", "3"]
    cells[place] = '"' + value.replace('"', '""') + '"'
    readout = read(tmp_path, "a,b,c\n4,5,6\n" + (",".join(cells) + "\n") * 3)
    assert (readout.tables.rows, told(readout)) == (4, [])


@pytest.mark.parametrize(
    ("first", "header", "rows", "names"),
    [
        ('"x1,w,3', False, 50, 3),
        ("1", None, 50, 3),
        ("1", False, 50, 3),
        ('a,"b,c', None, 50, 3),
        ('"multi\nline",b,c', True, 50, 3),
        ('"multi\nline",b,c', None, 50, 3),
    ],
)
def test_a_first_line_at_fault_costs_itself_alone(tmp_path, first, header, rows, names):
    readout = read(tmp_path, first + "\n" + "".join(f"{at},w,3\n" for at in range(50)), header)
    ((_, table),) = readout.tables.by_shape.items()
    assert (table.rows, len(table.columns), len(told(readout))) == (rows, names, "multi" not in first)


def test_a_header_whose_quote_is_open_is_called_so(tmp_path):
    with pytest.raises(Exception, match="a quote in its header is not closed"):
        read(tmp_path, 'a,"b,c\n1,2,3\n4,5,6\n')


def test_an_open_quote_in_one_block_harms_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "TABLE_BLOCK", 1000)
    lines = [f'"{number}, x",{number}' for number in range(2000)]
    lines[700] = 'x,"1'
    lines[1500] = '"x,1'
    readout = read(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    assert (readout.tables.rows, readout.counts.lines) == (1998, 2001)
    assert [line for line, _ in told(readout)] == [702, 1502]


def test_lines_behind_values_with_line_breaks_are_called_by_their_own_number(tmp_path):
    readout = read(tmp_path, 'a,b\n"x\ny",1\n"p\nq",2\n\n3\n4,5\n')
    assert (readout.tables.rows, told(readout)) == (3, [(7, "column_count")])
    assert values(readout, "a") == {"x\ny": 1, "p\nq": 1, "4": 1}


def test_a_quote_in_the_middle_of_a_value_is_a_character(tmp_path):
    readout = read(tmp_path, 'a,b\n5 1/4" disk,1\n2,3\n"he said ""no""",4\n')
    assert (values(readout, "a"), told(readout)) == ({'5 1/4" disk': 1, "2": 1, 'he said "no"': 1}, [])


def test_every_line_of_a_block_is_kept_or_dropped(tmp_path):
    block = b'1,2\n"x,1\n\n3,4\n"a\nb",5\n6\n'
    mended = mend_rows(block, 2)
    assert (mended.content, mended.starts) == (b'1,2\n3,4\n"a\nb",5\n', [0, 3, 4])
    assert mended.dropped == [(1, "unclosed_quote"), (6, "column_count")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_script_sees_a_value_with_a_line_break_whole(tmp_path, end):
    body = "def preprocess_handler(line):\n    return {'n': len(line.splitlines()), 'end': line[-1]}\n"
    lines = ["a,b", '"x', 'y",1', "", '"open,2', "3,4"]
    readout = read(tmp_path, end.join(lines) + end, script=body)
    assert (values(readout, "n"), values(readout, "end")) == ({"2": 1, "1": 2}, {"1": 1, "2": 1, "4": 1})
    kept = read(tmp_path, end.join(lines) + end, script="def preprocess_handler(line):\n    return line\n")
    assert (values(kept, "a"), told(kept)) == ({f"x{end}y": 1, "3": 1}, [(5, "column_count")])


def test_what_is_no_utf8_among_quoted_lines_reaches_no_script(tmp_path):
    readout = read(
        tmp_path, b'a,b\n"x\ny",1\n\xff,2\n3,4\n', script="def preprocess_handler(r):\n    return r\n"
    )
    assert (readout.tables.rows, told(readout)) == (2, [(4, "not_utf8")])


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("script", [None, "def preprocess_handler(r):\n    return r\n"])
def test_blank_lines_and_a_mark_before_the_first_row_are_no_rows(tmp_path, header, mark, script):
    head = b"a,b\n" if header else b""
    readout = read(tmp_path, mark + b"\n\r\n" + head + b"1,2\n\n3,4\n5\n", header, script)
    rows = sum(table.rows for shape, table in readout.tables.by_shape.items() if shape.width != 1)
    assert (rows, readout.counts.lines) == (2, 6 + header)
    if header:
        assert told(readout) == [(7, "column_count")]


def test_a_file_whose_lines_end_with_a_carriage_return_alone_is_called_so(tmp_path):
    with pytest.raises(Exception, match="its lines end with a carriage return alone"):
        read(tmp_path, "a,b\r1,2\r3,4\r")


@pytest.mark.parametrize(
    "line",
    ['a","x\n', 'a","x,1,2\n', '1,5" pipe,"x\n', '"x,1\n' * 999 + 'y"z,1\n', '"\n', '1,"x\n' * 30 + '","\n'],
    ids=["never closed", "wide", "in the middle", "closed late", "quotes alone", "closed after rows"],
)
@pytest.mark.parametrize("width", [2, 3])
def test_no_line_is_looked_at_again_for_every_quote_that_is_open_before_it(monkeypatch, line, width):
    """Counted, not timed: a megabyte of such lines took half a minute."""
    lines = (line * 20_000).splitlines(keepends=True)[:20_000]
    read, real = [], csv_records._read_line
    monkeypatch.setattr(
        csv_records, "_read_line", lambda *given, **how: read.append(1) or real(*given, **how)
    )
    mended = mend_rows("".join(lines).encode(), width)
    assert len(read) <= 2 * len(lines)
    assert len(mended.content.splitlines()) + len(mended.dropped) <= len(lines)


@pytest.mark.parametrize("longest", [3, 20, 40, 300])
@pytest.mark.parametrize("columns", [3, 6])
@pytest.mark.parametrize("header", [False, None])
def test_rows_without_names_and_with_long_texts_have_the_width_of_whole_rows(
    tmp_path, columns, longest, header
):
    """The first hundred lines may end within a text; its lines by themselves are no rows."""
    for seed in range(10):
        rng = random.Random(seed)
        written = io.StringIO()
        for _ in range(60):
            lines = [", ".join(["late"] * rng.randint(1, 5)) for _ in range(rng.randint(1, longest))]
            cells = [rng.randint(0, 9) for _ in range(columns - 1)]
            csv.writer(written, lineterminator="\n").writerow([cells[0], "\n".join(lines), *cells[1:]])
        readout = read(tmp_path, written.getvalue(), header=header)
        ((_, table),) = readout.tables.by_shape.items()
        assert (len(table.columns), table.rows, told(readout)) == (columns, 60, [])
