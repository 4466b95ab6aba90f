"""CSV whose quotes are at fault: which lines make a record, and which quote nobody closes.

A quote that somebody forgot would make one value of everything up to the next one, or to the end of the file.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from sagewatch.quality.blocks import LONGEST_LINE

# A value of more lines than this is no value: its quote was never closed.
MOST_LINES: Final = 1000
# Of the lines inside of a value: where so many of ten are rows by themselves, the value is none.
_ROWS_OF_TEN: Final = 9
_CELLS_SURE: Final = 3
# In one line: the end of a value, and both of another.
_QUOTES_OWN: Final = 3
# So many line breaks between two quotes that belong to no one value, however well they are placed.
_BREAKS_SURE: Final = 20
# Python's own limit of 131,072 characters a value is less than a line may hold.
csv.field_size_limit(LONGEST_LINE)


class CsvRecord(NamedTuple):
    """How many lines a record takes and how many cells it has; None where a quote in its first line is not closed."""

    lines: int
    width: int | None


class MendedRows(NamedTuple):
    """Rows that can be read.

    Attributes
    ----------
    content
        Their lines.
    starts
        In which line each begins, from 0.
    dropped
        The other lines, from 0, each with a reason code.
    """

    content: bytes
    starts: list[int]
    dropped: list[tuple[int, str]]


class _Read(NamedTuple):
    """A line as CSV: its cells, whether a quote is open behind it, and whether its quotes are at fault."""

    cells: int
    opens: bool
    broken: bool


class Records:
    r"""The records of some lines, asked for from the first to the last.

    What a line makes of a quote that is open before it is looked at once, however many quotes are open: so the time
    grows with the lines, whatever they are.

    Parameters
    ----------
    lines
        With their line breaks.
    width
        Cells that a row has. Where it is known, a value whose lines are such rows themselves is none: its quote was never closed.

    Examples
    --------
    >>> records = Records(['"a\n', 'b",1\n', 'c,2\n', '"d,3\n', 'e,4\n'])
    >>> [tuple(records.take(at)) for at in (0, 2, 3)]
    [(2, 2), (1, 2), (1, None)]
    """

    def __init__(self, lines: Sequence[str], width: int | None = None) -> None:
        self._lines = lines
        self._width = width
        self._forget(0)

    def take(self, at: int) -> CsvRecord:
        """The record that begins in a line; a later one than was asked for before."""
        line = self._lines[at]
        if '"' not in line:
            return CsvRecord(1, line.count(",") + 1)
        first = _read_line(line)
        if first is None:
            return CsvRecord(1, None)
        if not first.opens:
            return CsvRecord(1, first.cells)
        last = self._find_end(at + 1, min(len(self._lines), at + MOST_LINES))
        if last is None or last in self._refused or self._swallows(at, last, first):
            return CsvRecord(1, None)
        return CsvRecord(last - at + 1, first.cells + self._sum(self._cells, at + 1, last + 1))

    def _find_end(self, start: int, stop: int) -> int | None:
        """The first of these lines in which a quote that is open before it is closed, or which is no CSV."""
        if start > self._seen:
            self._forget(start)
        while not self._ends or self._ends[0] < start:
            if self._ends:
                self._ends.popleft()
            elif self._seen < stop:
                self._look()
            else:
                return None
        return self._ends[0] if self._ends[0] < stop else None

    def _forget(self, start: int) -> None:
        self._begin = self._seen = start
        self._ends: deque[int] = deque()
        self._refused: set[int] = set()
        # Up to each line: further cells, lines whose quotes are at fault, lines that are not blank, and rows.
        self._cells, self._broken, self._filled, self._rows = [0], [0], [0], [0]

    def _look(self) -> None:
        line = self._lines[self._seen]
        read = _read_line(line, is_inside=True) if '"' in line else _Read(1, opens=True, broken=False)
        if read is None:
            self._refused.add(self._seen)
        if read is None or not read.opens:
            self._ends.append(self._seen)
        self._cells.append(self._cells[-1] + (read.cells - 1 if read else 0))
        self._broken.append(self._broken[-1] + (read is None or read.broken))
        self._filled.append(self._filled[-1] + bool(line.strip()))
        self._rows.append(self._rows[-1] + (bool(line.strip()) and self._is_row(line)))
        self._seen += 1

    def _is_row(self, line: str) -> bool:
        """Whether a line is a row by itself; of one whose quotes are at fault the commas tell."""
        if self._width is None:
            return False
        if '"' in line:
            try:
                return len(next(csv.reader([line], strict=True))) == self._width
            except csv.Error:
                pass
        return line.count(",") == self._width - 1

    def _sum(self, totals: list[int], start: int, stop: int) -> int:
        return totals[stop - self._begin] - totals[start - self._begin]

    def _swallows(self, at: int, end: int, read: _Read) -> bool:
        """True where a value with line breaks is made of rows, between a quote that nobody closed and the next one."""
        if self._width is None or self._width == 1:
            return False
        first, last = self._is_row(self._lines[at]), self._is_row(self._lines[end])
        rows = self._sum(self._rows, at + 1, end)
        if read.broken or self._sum(self._broken, at + 1, end + 1):
            return last or rows > 0
        inner = self._sum(self._filled, at + 1, end)
        if 10 * rows < _ROWS_OF_TEN * inner:
            return False
        return inner >= _BREAKS_SURE - 1 or (first and last and inner * (self._width - 1) >= _CELLS_SURE)


def _read_line(line: str, *, is_inside: bool = False) -> _Read | None:
    """Read a line; where it begins inside of a value, as if the value began with it."""
    text = [f'"{line}' if is_inside else line, '"\n']
    for strict in (True, False):
        reader = csv.reader(text, strict=strict)
        try:
            cells = len(next(reader))
        except csv.Error:
            continue
        return _Read(cells, opens=reader.line_num > 1, broken=not strict)
    return None


def may_swallow(block: bytes, rows: int, width: int) -> bool:
    """True where a value of many lines may be made of rows; quick, and sure only when it says no.

    Parameters
    ----------
    rows
        As which the block was read.
    """
    if block.count(b'"') % 2:
        return True
    breaks = block.count(b"\n") - block.endswith(b"\n")
    if breaks < rows or width == 1:
        return breaks - rows > MOST_LINES
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    quotes = np.searchsorted(np.flatnonzero(data == ord('"')), ends)
    commas = np.searchsorted(np.flatnonzero(data == ord(",")), ends)
    alike = np.diff(commas, prepend=0) == width - 1
    inside = quotes % 2 == 1
    began_inside = np.concatenate([[False], inside[:-1]])
    # Where it opens a line need not look like a row: the value itself may hold commas.
    # A line that ends it and has quotes of its own may be a row whatever its commas.
    own = np.diff(quotes, prepend=0) >= _QUOTES_OWN
    opened, behind = inside & ~began_inside, (alike | own) & began_inside
    # The last line may end with the block.
    return bool(opened.any() and (behind.any() or inside[-1])) or breaks - rows > MOST_LINES


def split_lines(text: str) -> list[str]:
    """The lines of a text, each with its line feed; what else may end a line is part of it."""
    lines = [f"{line}\n" for line in text.split("\n")]
    return lines[:-1] if text.endswith("\n") else lines


def mend_rows(block: bytes, width: int) -> MendedRows:
    """The rows of a block that have a width, without the lines that belong to none.

    Parameters
    ----------
    block
        Lines in UTF-8.
    """
    lines = split_lines(block.decode("utf-8"))
    records = Records(lines, width)
    mended = MendedRows(b"", [], [])
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip("\r\n"):
            at += 1
            continue
        record = records.take(at)
        if record.width == width:
            kept += lines[at : at + record.lines]
            mended.starts.append(at)
            at += record.lines
        else:
            mended.dropped.append((at, "unclosed_quote" if record.width is None else "column_count"))
            at += 1
    return mended._replace(content="".join(kept).encode())
