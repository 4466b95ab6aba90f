"""Reads stretches of files, each in its format, into one readout."""

from __future__ import annotations

import codecs
import mmap
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from sagewatch.errors import RejectedInputError
from sagewatch.quality.align import Mode
from sagewatch.quality.blocks import iterate_blocks
from sagewatch.quality.captures import CaptureReader, Window
from sagewatch.quality.columnar import read_parquet
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.elements import LARGEST_WHOLE_DOCUMENT, UnendingDocumentError, iterate_document
from sagewatch.quality.files import has_header, read_hour
from sagewatch.quality.payload import (
    UnreadablePayloadError,
    decode_text,
    explode,
    load_json,
    parse_csv_text,
    parse_element,
)
from sagewatch.quality.profile import MOST_COLUMNS, Batch, Shape
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import RowGatherer, parse_csv_block, position_names
from sagewatch.quality.script import Preprocessor
from sagewatch.quality.scripted import ScriptedReader

CAPTURE_BLOCK: Final = 1 << 19
TABLE_BLOCK: Final = 4 << 20
_LONGEST_HEADER: Final = 16 << 20
# GenerateInferenceId puts both behind the columns of a batch transform.
_APPENDED = re.compile(r",[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12},\d{4}-\d\d-\d\dT[\d:.]+Z?$")


class ReadSettings(msgspec.Struct, frozen=True):
    """How a data set is read.

    Attributes
    ----------
    format
        What lies in the files.
    window
        Records outside are passed over.
    mode
        In ``compat`` AWS's limits hold: sides of differing encoding end the analysis, several rows in a request
        are one value.
    preprocessor
        Path of a script with ``preprocess_handler``.
    """

    format: DatasetFormat
    window: Window = Window()
    mode: Mode = Mode.EXACT
    preprocessor: str | None = None


class Piece(msgspec.Struct, frozen=True):
    """The lines of a file, or its row groups, that begin in ``[start, end)``, in bytes."""

    path: str
    start: int
    end: int


Progress = Callable[[int], None]


class DatasetReader:
    """Reads piece after piece; ``finish`` hands over what it gathered."""

    def __init__(self, settings: ReadSettings, progress: Progress | None = None) -> None:
        self.readout = Readout()
        self._settings = settings
        self._progress = progress or (lambda _: None)
        script = settings.preprocessor
        preprocessor = Preprocessor(Path(script)) if script else None
        self._captures = CaptureReader(
            self.readout, settings.format.sides, settings.window, settings.mode, preprocessor
        )
        self._rows = RowGatherer(self.readout)
        self._scripted = (
            ScriptedReader(self.readout, self._rows, preprocessor, self._progress) if preprocessor else None
        )

    def read(self, piece: Piece) -> int:
        """Read a piece; the answer is the number of its lines.

        Raises
        ------
        ScriptError
            When the preprocessor fails.
        """
        kind = self._settings.format.kind
        path = Path(piece.path)
        hour = read_hour(path)
        if hour is not None and kind is not FileKind.CAPTURE and not self._settings.window.holds(hour):
            self.readout.counts.outside_window += 1
            return 0
        try:
            return self._read_piece(path, piece, hour)
        except RejectedInputError as error:
            # A file that is none, among others that are: counted as one bad line is.
            self.readout.counts.lines += 1
            self.readout.reject(str(path), error.line or 1, error.reason)
            return 1

    def _read_piece(self, path: Path, piece: Piece, hour: datetime | None) -> int:
        kind = self._settings.format.kind
        if self._scripted is not None and kind is not FileKind.CAPTURE:
            is_csv = kind is FileKind.CSV
            layout = read_csv_layout(path, header=self._settings.format.header) if is_csv else None
            return self._scripted.read(path, piece.start, piece.end, kind, layout)
        if kind is FileKind.PARQUET:
            return read_parquet(path, piece.start, piece.end, self.readout, self._progress)
        if kind is FileKind.JSON:
            return self._read_document(path)
        if kind is FileKind.CSV:
            return self._read_csv(path, piece)
        return self._read_lines(path, piece, hour)

    def finish(self) -> Readout:
        """Everything that was read."""
        self._captures.flush()
        self._rows.flush()
        return self.readout

    def _read_lines(self, path: Path, piece: Piece, hour: datetime | None) -> int:
        number = 1
        is_capture = self._settings.format.kind is FileKind.CAPTURE
        add = self._captures.add_block if is_capture else self._add_records
        for block, too_long in iterate_blocks(path, piece.start, piece.end, CAPTURE_BLOCK):
            if too_long:
                self.readout.counts.lines += 1
                self.readout.reject(str(path), number, "line_too_long")
                number += 1
                continue
            is_first = number == 1 and not piece.start
            number += add(block.removeprefix(codecs.BOM_UTF8) if is_first else block, str(path), number, hour)
            self._progress(len(block))
        return number - 1

    def _add_records(self, block: bytes, where: str, first_line: int, hour: datetime | None = None) -> int:
        del hour  # the whole file was inside the window, or was not read
        lines = block.removesuffix(b"\n").split(b"\n")
        self.readout.counts.lines += len(lines)
        for number, line in enumerate(lines, first_line):
            if line.strip():
                self._add_record(line, where, number)
        return len(lines)

    def _add_record(self, line: bytes, where: str, number: int) -> None:
        try:
            rows = explode(load_json(decode_text(line)))
        except UnreadablePayloadError as error:
            self.readout.reject(where, number, error.reason)
        else:
            for row in rows:
                self._rows.add_cells(row, 0, where, number)

    def _read_document(self, path: Path) -> int:
        if path.stat().st_size > LARGEST_WHOLE_DOCUMENT:
            return self._read_elements(path)
        try:
            rows = explode(load_json(decode_text(path.read_bytes())))
        except UnreadablePayloadError as error:
            self.readout.counts.lines += 1
            self.readout.reject(str(path), 1, error.reason)
            return 1
        self.readout.counts.lines += len(rows)
        for number, row in enumerate(rows, 1):
            self._rows.add_cells(row, 0, str(path), number)
        return len(rows)

    def _read_elements(self, path: Path) -> int:
        """A large document record by record; a rejected one is named by its number."""
        number = 0
        try:
            for number, element in enumerate(iterate_document(path), 1):
                self.readout.counts.lines += 1
                self._progress(len(element))
                try:
                    self._rows.add_cells(parse_element(element), 0, str(path), number)
                except UnreadablePayloadError as error:
                    self.readout.reject(str(path), number, error.reason)
        except UnendingDocumentError:
            number += 1
            self.readout.counts.lines += 1
            self.readout.reject(str(path), number, "unending_document")
        return number

    def _read_csv(self, path: Path, piece: Piece) -> int:
        layout = read_csv_layout(path, header=self._settings.format.header)
        number = 2 if layout.has_names and not piece.start else 1
        self.readout.counts.lines += number - 1
        quoted = has_quotes(path)
        start = max(layout.begin, piece.start)
        for block, too_long in iterate_blocks(path, start, piece.end, TABLE_BLOCK, quoted=quoted):
            lines = max(1, block.count(b"\n") + (not block.endswith(b"\n")))
            self.readout.counts.lines += lines
            if too_long:
                self.readout.reject(str(path), number, "line_too_long")
            else:
                self._add_csv(block, layout, str(path), number)
            number += lines
            self._progress(len(block))
        return number - 1

    def _add_csv(self, block: bytes, layout: CsvLayout, where: str, first: int) -> None:
        width = len(layout.names)
        try:
            columns, odd = parse_csv_block(block, width)
        except pa.ArrowInvalid:
            block = self._drop_broken(block, where, first)
            columns, odd = parse_csv_block(block, width)
        if odd:
            # Arrow passes over blank lines when it counts, and takes a lone carriage return for the end of one.
            filled = [at for at, line in enumerate(block.split(b"\n")) if line.strip(b"\r")]
            for row in odd:
                self.readout.reject(where, first + filled[min(row, len(filled) - 1)], "column_count")
        kept = width - layout.appended
        shape = Shape(0) if layout.has_names else Shape(kept)
        self.readout.add(Batch(shape, layout.names[:kept], columns[:kept], len(columns[0])), where, first)

    def _drop_broken(self, block: bytes, where: str, first: int) -> bytes:
        """The block without the lines that are no UTF-8; an empty line keeps the others' numbers."""
        lines = block.split(b"\n")
        for number, line in enumerate(lines):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                lines[number] = b""
                self.readout.reject(where, first + number, "not_utf8")
        return b"\n".join(lines)


class CsvLayout(msgspec.Struct, frozen=True):
    """A CSV file's columns, and where its rows begin, in bytes.

    ``appended`` counts the columns at the end that batch transform added: the inference's id and time.
    """

    names: tuple[str, ...]
    begin: int
    has_names: bool
    appended: int = 0


def read_csv_layout(path: Path, *, header: bool | None) -> CsvLayout:
    """Look at the first line of a CSV file.

    Raises
    ------
    RejectedInputError
        When it is no UTF-8 or no CSV.
    """
    with path.open("rb") as file:
        first = file.readline(_LONGEST_HEADER)
    mark = len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0
    try:
        text = first[mark:].decode("utf-8").rstrip("\r\n")
        rows = parse_csv_text(text)
    except UnicodeDecodeError as error:
        raise RejectedInputError("no CSV in UTF-8", where=str(path), line=1) from error
    except UnreadablePayloadError as error:
        many = error.reason == "too_many_columns"
        reason = f"more than {MOST_COLUMNS} columns" if many else "no CSV"
        raise RejectedInputError(reason, where=str(path), line=1) from error
    if not rows or not (header or (header is None and has_header(text))):
        names = position_names(len(rows[0]) if rows else 1)
        return CsvLayout(names, mark, has_names=False, appended=2 if _APPENDED.search(text) else 0)
    names = name_columns([value or f"_c{at}" for at, (_, value) in enumerate(rows[0])])
    return CsvLayout(names, len(first), has_names=True)


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
