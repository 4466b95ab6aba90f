"""Reads stretches of files, each in its format, into one readout."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.quality.align import Mode
from sagewatch.quality.blocks import iterate_blocks
from sagewatch.quality.captures import CaptureReader, Window
from sagewatch.quality.columnar import read_parquet
from sagewatch.quality.csv_file import CsvReader, read_csv_layout
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.elements import LARGEST_WHOLE_DOCUMENT, UnendingDocumentError, iterate_document
from sagewatch.quality.files import read_hour
from sagewatch.quality.payload import (
    UnreadablePayloadError,
    decode_text,
    explode,
    load_json,
    parse_element,
)
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import RowGatherer
from sagewatch.quality.script import Preprocessor
from sagewatch.quality.scripted import ScriptedReader

CAPTURE_BLOCK: Final = 1 << 19


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
        self._csv = CsvReader(self.readout, self._progress)
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
            return self._csv.read(path, piece.start, piece.end, header=self._settings.format.header)
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
            if not rows:
                self.readout.reject(where, number, "no_values")
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
