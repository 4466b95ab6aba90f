"""Rows on their way into a profile: gathered by shape until they are worth a batch."""

from __future__ import annotations

import csv
from bisect import bisect_right
from typing import Final

import pyarrow as pa
import pyarrow.csv

from sagewatch.quality.payload import Row
from sagewatch.quality.profile import Batch, Shape
from sagewatch.quality.readout import Readout

# A batch costs some work a column, however few its rows; its memory is some 20 times its text.
ROWS_A_BATCH: Final = 32_768
BYTES_A_BATCH: Final = 8 << 20


class Places:
    """Where each row came from: runs of rows whose lines follow one another in a file."""

    def __init__(self) -> None:
        self._rows = 0
        self._starts: list[int] = []
        self._runs: list[tuple[str, int]] = []
        self._next: tuple[str, int] = ("", 0)

    def add(self, where: str, line: int, count: int = 1) -> None:
        """Note the places of the next rows: one a line, from ``line`` on."""
        if self._next != (where, line):
            self._starts.append(self._rows)
            self._runs.append((where, line))
        self._rows += count
        self._next = (where, line + count)

    def find(self, row: int) -> tuple[str, int]:
        """File and line of a row, counted from 0."""
        run = bisect_right(self._starts, row) - 1
        where, line = self._runs[run]
        return where, line + row - self._starts[run]


class RowGatherer:
    """Takes rows one by one and hands them to a readout in batches."""

    def __init__(self, readout: Readout) -> None:
        self._readout = readout
        self._texts: dict[Shape, tuple[list[str], Places]] = {}
        self._cells: dict[Shape, tuple[list[Row], Places]] = {}
        self._bytes = 0

    def add_texts(self, rows: list[str], shape: Shape, where: str, line: int) -> None:
        """Take in rows as lines of CSV, one a line of the file; each must be as wide as the shape."""
        texts, places = self._texts.setdefault(shape, ([], Places()))
        texts.extend(rows)
        places.add(where, line, len(rows))
        self._grow(sum(map(len, rows)), len(texts))

    def add_cells(self, row: Row, outputs: int, where: str, line: int) -> None:
        """Take in a row as cells: joined by name where every cell has one, else by position."""
        named = all(name is not None for name, _ in row)
        shape = Shape(0) if named else Shape(len(row), outputs)
        rows, places = self._cells.setdefault(shape, ([], Places()))
        rows.append(row)
        places.add(where, line)
        self._grow(sum(len(value or "") for _, value in row), len(rows))

    def flush(self) -> None:
        """Hand over what was gathered."""
        for shape, (texts, places) in self._texts.items():
            self._read_texts(shape, texts, places)
        for shape, (rows, places) in self._cells.items():
            build = _build_named if shape.is_named else _build_positional
            self._readout.add(build(shape, rows), *places.find(0))
        self._texts.clear()
        self._cells.clear()
        self._bytes = 0

    def _grow(self, size: int, rows: int) -> None:
        self._bytes += size
        if rows >= ROWS_A_BATCH or self._bytes >= BYTES_A_BATCH:
            self.flush()

    def _read_texts(self, shape: Shape, texts: list[str], places: Places) -> None:
        content = "\n".join(texts).encode("utf-8", "replace")
        columns, odd = parse_csv_block(content, shape.width)
        for number in odd:
            self._readout.reject(*places.find(number), "not_csv")
        rows = len(columns[0]) if columns else 0
        self._readout.add(Batch(shape, position_names(shape.width), columns, rows), *places.find(0))


def position_names(width: int) -> tuple[str, ...]:
    """The names that AWS gives columns without any."""
    return tuple(f"_c{number}" for number in range(width))


def parse_csv_block(content: bytes, width: int) -> tuple[tuple[pa.StringArray, ...], list[int]]:
    """Columns of a block of CSV rows, as strings; an empty cell is missing, a quoted empty one is not.

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
