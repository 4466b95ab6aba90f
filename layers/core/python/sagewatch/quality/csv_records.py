"""CSV whose quotes are at fault: which lines make a record, and which quote nobody closes.

A quote that somebody forgot would make one value of everything up to the next one, or to the end of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

# A value of more lines than this is no value: its quote was never closed.
MOST_LINES: Final = 1000


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


def take_record(lines: Sequence[str], at: int) -> CsvRecord:
    r"""The record that begins in a line.

    Parameters
    ----------
    lines
        With their line breaks.

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
    return CsvRecord(1, None) if reader.line_num > end - at else CsvRecord(reader.line_num, len(row))


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
        record = take_record(lines, at)
        if record.width == width:
            kept += lines[at : at + record.lines]
            mended.starts.append(at)
            at += record.lines
        else:
            mended.dropped.append((at, "unclosed_quote" if record.width is None else "column_count"))
            at += 1
    return mended._replace(content="".join(kept).encode())
