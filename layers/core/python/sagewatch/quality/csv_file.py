"""CSV files: where their rows begin, what their columns are called, and their rows by the block."""

from __future__ import annotations

import codecs
import mmap
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from sagewatch.errors import RejectedInputError
from sagewatch.quality.blocks import count_lines, iterate_blocks
from sagewatch.quality.csv_records import MOST_LINES, Records, may_swallow, mend_rows
from sagewatch.quality.files import has_header, refuse_markup
from sagewatch.quality.payload import UnreadablePayloadError, parse_csv_text
from sagewatch.quality.profile import MOST_COLUMNS, Batch, Shape
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import parse_csv_block, position_names

TABLE_BLOCK: Final = 4 << 20
_LONGEST_HEADER: Final = 16 << 20
_LOOKED_AT: Final = 100
_LONGEST_LOOKED_AT: Final = 1 << 20
# GenerateInferenceId puts both behind the columns of a batch transform.
_APPENDED = re.compile(r",[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12},\d{4}-\d\d-\d\dT[\d:.]+Z?$")


class CsvReader:
    """Reads stretches of CSV files into a readout."""

    def __init__(self, readout: Readout, progress: Callable[[int], None]) -> None:
        self._readout = readout
        self._progress = progress

    def read(self, path: Path, start: int, end: int, *, header: bool | None) -> int:
        """Read the lines that begin in ``[start, end)``; the answer is their number.

        Raises
        ------
        RejectedInputError
            When the file is no UTF-8 or no CSV.
        """
        layout = read_csv_layout(path, header=header)
        number = 1 if start else layout.lines_before + 1
        self._readout.counts.lines += number - 1
        quoted = has_quotes(path)
        for block, too_long in iterate_blocks(
            path, max(layout.begin, start), end, TABLE_BLOCK, quoted=quoted
        ):
            lines = count_lines(block)
            self._readout.counts.lines += lines
            if too_long:
                self._readout.reject(str(path), number, "line_too_long")
            else:
                self._add_block(block, layout, str(path), number)
            number += lines
            self._progress(len(block))
        return number - 1

    def _add_block(self, block: bytes, layout: CsvLayout, where: str, first: int) -> None:
        width = len(layout.names)
        try:
            columns, odd = parse_csv_block(block, width)
        except pa.ArrowInvalid:
            block = self._drop_broken(block, where, first)
            columns, odd = parse_csv_block(block, width)
        # Arrow passes over blank lines when it counts, and takes a lone carriage return for the end of one.
        lines: Sequence[int]
        if b'"' in block and (odd or may_swallow(block, len(columns[0]), width)):
            block, lines, dropped = mend_rows(block, width)
            for line, reason in dropped:
                self._readout.reject(where, first + line, reason)
            columns, odd = parse_csv_block(block, width)
        elif odd:
            lines = [at for at, line in enumerate(block.split(b"\n")) if line.strip(b"\r")]
        for row in odd:
            self._readout.reject(where, first + lines[min(row, len(lines) - 1)], "column_count")
        kept = width - layout.appended
        shape = Shape(0) if layout.has_names else Shape(kept)
        self._readout.add(Batch(shape, layout.names[:kept], columns[:kept], len(columns[0])), where, first)

    def _drop_broken(self, block: bytes, where: str, first: int) -> bytes:
        """The block without the lines that are no UTF-8; an empty line keeps the others' numbers."""
        lines = block.split(b"\n")
        for number, line in enumerate(lines):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                lines[number] = b""
                self._readout.reject(where, first + number, "not_utf8")
        return b"\n".join(lines)


class CsvLayout(msgspec.Struct, frozen=True):
    """A CSV file's columns, and where its rows begin.

    Attributes
    ----------
    begin, lines_before
        The place of the first row, in bytes and in lines.
    appended
        How many columns at the end batch transform added: the inference's id and time.
    """

    names: tuple[str, ...]
    begin: int
    lines_before: int
    has_names: bool
    appended: int = 0


def read_csv_layout(path: Path, *, header: bool | None) -> CsvLayout:
    """Look at the first records of a CSV file: the first one may name the columns, most of them tell how many there are.

    Raises
    ------
    RejectedInputError
        When the first is no UTF-8 or no CSV, a header whose quote is not closed, or a page.
    """
    begin, blank, first = _find_first_line(path)
    refuse_markup(path, first.lstrip())
    line = blank + 1
    head, closed, width = _find_first_record(path, begin)
    try:
        text = head.decode("utf-8").rstrip("\r\n")
        rows = parse_csv_text(text)
    except UnicodeDecodeError as error:
        raise RejectedInputError("no CSV in UTF-8", where=str(path), line=line) from error
    except UnreadablePayloadError as error:
        many = error.reason == "too_many_columns"
        reason = f"more than {MOST_COLUMNS} columns" if many else "no CSV"
        raise RejectedInputError(reason, where=str(path), line=line) from error
    if rows and header and not closed:
        raise RejectedInputError("a quote in its header is not closed", where=str(path), line=line)
    if not rows or not closed or not (header or (header is None and has_header(text))):
        appended = 2 if _APPENDED.search(text) else 0
        return CsvLayout(position_names(width), begin, blank, has_names=False, appended=appended)
    if "\r" in text and '"' not in text:
        reason = "its lines end with a carriage return alone: save it with line feeds"
        raise RejectedInputError(reason, where=str(path), line=line)
    names = name_columns([value or f"_c{at}" for at, (_, value) in enumerate(rows[0])])
    return CsvLayout(names, begin + len(head), blank + max(1, head.count(b"\n")), has_names=True)


def _find_first_record(path: Path, begin: int) -> tuple[bytes, bool, int]:
    """The first record, whether its quotes are closed, and how many cells most of the first records have."""
    with path.open("rb") as file:
        file.seek(begin)
        content = [file.readline(_LONGEST_HEADER)]
        while len(content) < _LOOKED_AT and (line := file.readline(_LONGEST_LOOKED_AT)):
            content.append(line)
        begun = len(content)
        if any(b'"' in line for line in content):
            # The last record may end behind them: its lines by themselves are no rows.
            size = sum(len(line) for line in content)
            while (
                len(content) < begun + MOST_LINES
                and size < _LONGEST_HEADER
                and (line := file.readline(_LONGEST_LOOKED_AT))
            ):
                content.append(line)
                size += len(line)
    lines = [line.decode("utf-8", "surrogateescape") for line in content]
    widths: Counter[int] = Counter()
    records = Records(lines)
    at = 0
    while at < begun:
        record = records.take(at)
        if record.width is not None and lines[at].strip("\r\n"):
            widths[record.width] += 1
        at += record.lines
    first = Records(lines).take(0)
    # Among equally frequent ones the first; at least one, and no more than a table may have.
    width = min(max(widths, key=lambda each: widths[each], default=1), MOST_COLUMNS)
    if first.lines > 1 and Records(lines, width).take(0).width != width:
        return content[0], False, width
    return b"".join(content[: first.lines]), first.width is not None, width


def _find_first_line(path: Path) -> tuple[int, int, bytes]:
    """Where the first line stands that is not blank: in bytes, after how many lines, and the line itself."""
    with path.open("rb") as file:
        begin = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
        file.seek(begin)
        blank = 0
        while (line := file.readline(_LONGEST_HEADER)) and not line.strip(b"\r\n"):
            begin += len(line)
            blank += 1
    return begin, blank, line


def name_columns(given: Sequence[str]) -> tuple[str, ...]:
    """Names of which no two are alike: Spark tells columns of one name apart by their places.

    Examples
    --------
    >>> name_columns(["a", "b", "a"]), name_columns(["a", "a", "a1"])
    (('a0', 'b', 'a2'), ('a0', 'a1_', 'a1'))
    """
    counts = Counter(given)
    taken = {name for name in given if counts[name] == 1}
    named = []
    for at, name in enumerate(given):
        if counts[name] > 1:
            name = f"{name}{at}"  # noqa: PLW2901 - the name that it goes by from here on
            while name in taken:
                name += "_"  # noqa: PLW2901
            taken.add(name)
        named.append(name)
    return tuple(named)


def has_quotes(path: Path) -> bool:
    """True where a file holds a quote: a line break may then stand within a value."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b'"') >= 0
