"""CSV whose quotes are at fault: which lines make a record, and which quote nobody closes.

A quote that somebody forgot would make one value of everything up to the next one, or to the end of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import chain
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


def take_record(lines: Sequence[str], at: int, width: int | None = None) -> CsvRecord:
    r"""The record that begins in a line.

    Parameters
    ----------
    lines
        With their line breaks.
    width
        Cells that a row has. Where it is known, a value whose lines are such rows themselves is none: its quote was never closed.

    Examples
    --------
    >>> lines = ['"a\n', 'b",1\n', 'c,2\n', '"d,3\n', 'e,4\n']
    >>> [tuple(take_record(lines, at)) for at in (0, 2, 3)]
    [(2, 2), (1, 2), (1, None)]
    """
    if '"' not in lines[at]:
        return CsvRecord(1, lines[at].count(",") + 1)
    end = min(len(lines), at + MOST_LINES)
    # One line more than there is: who asks for it is still inside a quote.
    reader = csv.reader(chain((lines[number] for number in range(at, end)), [""]))
    try:
        row = next(reader)
    except csv.Error:
        return CsvRecord(1, None)
    count = reader.line_num
    if count > end - at or (count > 1 and width is not None and _swallows(lines[at : at + count], width)):
        return CsvRecord(1, None)
    return CsvRecord(count, len(row))


def _swallows(lines: Sequence[str], width: int) -> bool:
    """True where a value with line breaks is made of rows, between a quote that nobody closed and the next one."""
    if width == 1:
        return False
    first, *inner, last = [_is_row(line, width) for line in lines if line.strip()]
    try:
        next(csv.reader(iter(lines), strict=True))
        broken = False
    except csv.Error:
        broken = True
    if broken:
        return last or any(inner)
    if 10 * sum(inner) < _ROWS_OF_TEN * len(inner):
        return False
    return len(inner) >= _BREAKS_SURE - 1 or (first and last and len(inner) * (width - 1) >= _CELLS_SURE)


def _is_row(line: str, width: int) -> bool:
    """Whether a line is a row by itself; of one whose quotes are at fault the commas tell."""
    if '"' in line:
        try:
            return len(next(csv.reader([line], strict=True))) == width
        except csv.Error:
            pass
    return line.count(",") == width - 1


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
    mended = MendedRows(b"", [], [])
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip("\r\n"):
            at += 1
            continue
        record = take_record(lines, at, width)
        if record.width == width:
            kept += lines[at : at + record.lines]
            mended.starts.append(at)
            at += record.lines
        else:
            mended.dropped.append((at, "unclosed_quote" if record.width is None else "column_count"))
            at += 1
    return mended._replace(content="".join(kept).encode())
