"""Rows on their way into a profile: gathered by shape until they are worth a batch."""

from __future__ import annotations

import csv
from bisect import bisect_right
from typing import Final

import pyarrow as pa
import pyarrow.csv

from sagewatch.quality.cells import Columns, is_utf8, join_columns, split_cells
from sagewatch.quality.payload import Row
from sagewatch.quality.profile import Batch, Shape
from sagewatch.quality.readout import Readout

# A batch costs some work a column, however few its rows; its memory is some 20 times its text.
ROWS_A_BATCH: Final = 32_768
BYTES_A_BATCH: Final = 8 << 20
CELLS_A_BATCH: Final = 4 << 20
# Of rows that are cut into columns already.
ROWS_OF_COLUMNS: Final = 65_536


class Places:
    """Where each row came from: runs of rows whose lines follow one another in a file."""

    def __init__(self) -> None:
        self.rows = 0
        self._starts: list[int] = []
        self._runs: list[tuple[str, int]] = []
        self._next: tuple[str, int] = ("", 0)

    def add(self, where: str, line: int, count: int = 1) -> None:
        """Note the places of the next rows: one a line, from ``line`` on."""
        if self._next != (where, line):
            self._starts.append(self.rows)
            self._runs.append((where, line))
        self.rows += count
        self._next = (where, line + count)

    def find(self, row: int) -> tuple[str, int]:
        """File and line of a row, counted from 0."""
        run = bisect_right(self._starts, row) - 1
        where, line = self._runs[run]
        return where, line + row - self._starts[run]


class _Gathered:
    """Rows of one shape in their order: runs of lines of CSV, and columns that were cut already."""

    def __init__(self) -> None:
        self.runs: list[list[str] | Columns] = []
        self.places = Places()

    def add_text(self, row: str, where: str, line: int) -> None:
        if not self.runs or not isinstance(self.runs[-1], list):
            self.runs.append([])
        last = self.runs[-1]
        assert isinstance(last, list)  # noqa: S101 - told to the type checker
        last.append(row)
        self.places.add(where, line)


class RowGatherer:
    """Takes rows one by one and hands them to a readout in batches."""

    def __init__(self, readout: Readout) -> None:
        self._readout = readout
        self._lines: dict[Shape, _Gathered] = {}
        self._cells: dict[Shape, tuple[list[Row], Places]] = {}
        self._names: set[str | None] = set()
        self._bytes = 0

    def add_text(self, row: str, shape: Shape, where: str, line: int) -> None:
        """Take in a row as a line of CSV; it must be as wide as the shape."""
        gathered = self._lines.setdefault(shape, _Gathered())
        gathered.add_text(row, where, line)
        self._grow(len(row), gathered.places.rows)

    def add_columns(self, columns: Columns, shape: Shape, where: str, line: int) -> None:
        """Take in rows that follow one another in the file, already cut into columns."""
        gathered = self._lines.setdefault(shape, _Gathered())
        gathered.runs.append(columns)
        gathered.places.add(where, line, len(columns[0]))
        # Twice in memory when they are joined, where the text of other rows is some 20 times.
        self._grow(sum(column.nbytes for column in columns) // 2, gathered.places.rows, ROWS_OF_COLUMNS)

    def add_cells(self, row: Row, outputs: int, where: str, line: int) -> None:
        """Take in a row as cells: joined by name where every cell has one, else by position."""
        named = all(name is not None for name, _ in row)
        shape = Shape(0) if named else Shape(len(row), outputs)
        rows, places = self._cells.setdefault(shape, ([], Places()))
        rows.append(row)
        places.add(where, line)
        if named:
            self._names.update(name for name, _ in row)
            if len(rows) * len(self._names) > CELLS_A_BATCH:
                # Rows with names of their own: a table of them all would be mostly holes.
                self.flush()
                return
        self._grow(sum(len(value or "") for _, value in row), len(rows))

    def flush(self) -> None:
        """Hand over what was gathered."""
        for shape, gathered in self._lines.items():
            self._flush_lines(shape, gathered)
        for shape, (rows, places) in self._cells.items():
            build = _build_named if shape.is_named else _build_positional
            self._readout.add(build(shape, rows), *places.find(0))
        self._lines.clear()
        self._cells.clear()
        self._names.clear()
        self._bytes = 0

    def _grow(self, size: int, rows: int, most: int = ROWS_A_BATCH) -> None:
        self._bytes += size
        if rows >= most or self._bytes >= BYTES_A_BATCH:
            self.flush()

    def _flush_lines(self, shape: Shape, gathered: _Gathered) -> None:
        parts: list[Columns] = []
        before = 0
        for run in gathered.runs:
            columns, count = (run, len(run[0])) if isinstance(run, tuple) else ((), len(run))
            if isinstance(run, list):
                columns, odd = parse_csv_block("\n".join(run).encode("utf-8", "replace"), shape.width)
                for number in odd:
                    self._readout.reject(*gathered.places.find(before + number), "not_csv")
            parts.append(columns)
            before += count
        columns = tuple(map(join_columns, zip(*parts, strict=True)))
        batch = Batch(shape, position_names(shape.width), columns, len(columns[0]))
        self._readout.add(batch, *gathered.places.find(0))


def position_names(width: int) -> tuple[str, ...]:
    """The names that AWS gives columns without any."""
    return tuple(f"_c{number}" for number in range(width))


def parse_csv_block(content: bytes, width: int) -> tuple[Columns, list[int]]:
    """Columns of a block of CSV rows; an empty cell is missing, a quoted empty one is not.

    Parameters
    ----------
    content
        Whole rows in UTF-8, without header.
    width
        How many columns a row must have.

    Returns
    -------
    tuple
        The columns, and the numbers from 0 of the rows that have another width.

    Raises
    ------
    pyarrow.ArrowInvalid
        When the content is no UTF-8.
    """
    columns = split_cells(content, width) if content.strip(b"\r\n") else None
    return (columns, []) if columns is not None else parse_any_csv(content, width)


def parse_any_csv(content: bytes, width: int) -> tuple[Columns, list[int]]:
    """What ``parse_csv_block`` does, for rows that may have quotes, other widths, or blank lines among them."""
    if not is_utf8(content):
        # Arrow cannot hand over an odd row that is none, and would lose it.
        raise pa.ArrowInvalid("no UTF-8")
    odd: list[int] = []

    def skip(row: pa.csv.InvalidRow) -> str:
        odd.append((row.number or 1) - 1)
        return "skip"

    names = list(position_names(width))
    if not content.strip(b"\r\n"):
        return tuple(pa.array([], pa.string()) for _ in names), odd
    table = pa.csv.read_csv(
        pa.BufferReader(content),
        pa.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
        pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return tuple(_one_chunk(column) for column in table.columns), odd


def count_cells(text: str) -> int:
    """How many cells a line of CSV has."""
    if '"' not in text:
        return text.count(",") + 1
    return len(next(csv.reader([text]), []))


def _one_chunk(column: pa.ChunkedArray) -> pa.StringArray:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([*column.chunks, pa.array([], pa.string())])
    )


def _build_positional(shape: Shape, rows: list[Row]) -> Batch:
    columns = tuple(_build_column([row[at][1] for row in rows]) for at in range(shape.width))
    return Batch(shape, position_names(shape.width), columns, len(rows))


def _build_named(shape: Shape, rows: list[Row]) -> Batch:
    records = [dict(row) for row in rows]
    names = tuple(dict.fromkeys(name for record in records for name in record if name is not None))
    columns = tuple(_build_column([record.get(name) for record in records]) for name in names)
    return Batch(shape, names, columns, len(rows))


def _build_column(values: list[str | None]) -> pa.StringArray:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair, which is no text in UTF-8.
        mended = [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
        return pa.array(mended, pa.string())
