"""Files other than captures through a preprocess script: CSV line by line, JSON record by record, Parquet row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from sagewatch.quality.blocks import count_lines, iterate_blocks
from sagewatch.quality.columnar import iterate_batches, spell_row
from sagewatch.quality.csv_file import CsvLayout, has_quotes
from sagewatch.quality.csv_records import Records, split_lines
from sagewatch.quality.dataset_format import FileKind
from sagewatch.quality.elements import LARGEST_WHOLE_DOCUMENT, UnendingDocumentError, iterate_document
from sagewatch.quality.payload import (
    Row,
    UnreadablePayloadError,
    decode_text,
    flatten,
    list_records,
    load_json,
    parse_csv_text,
)
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import RowGatherer
from sagewatch.quality.script import Preprocessor

_BLOCK: Final = 1 << 19
# The rows of a record that the script gave back untouched.
AsItIs = Callable[[Any], list[Row]]


class ScriptedReader:
    """Calls the script with every record, and takes in the rows that it makes of them."""

    def __init__(
        self, readout: Readout, rows: RowGatherer, script: Preprocessor, progress: Callable[[int], None]
    ) -> None:
        self._readout = readout
        self._rows = rows
        self._script = script
        self._progress = progress

    def read(self, path: Path, start: int, end: int, kind: FileKind, layout: CsvLayout | None = None) -> int:
        """Read a stretch of a file; the answer is the number of its records.

        Parameters
        ----------
        layout
            Of a CSV file: its header is not a record, but names the columns of lines that the script gives back.

        Raises
        ------
        ScriptError
            When the script fails.
        RejectedInputError
            When a Parquet file is none.
        """
        if kind is FileKind.PARQUET:
            return self._read_rows(path, start, end)
        if kind is FileKind.JSON:
            return self._take(path, self._list_elements(path), _keep_record)
        return self._read_lines(path, start, end, layout)

    def _read_lines(self, path: Path, start: int, end: int, layout: CsvLayout | None) -> int:
        number = 1
        if layout is not None and not start:
            start, number = layout.begin, layout.lines_before + 1
            self._readout.counts.lines += number - 1
        quoted = layout is not None and has_quotes(path)
        as_it_is = partial(_keep_line, layout=layout) if layout is not None else _keep_record
        for block, too_long in iterate_blocks(path, start, end, _BLOCK, quoted=quoted):
            lines = count_lines(block)
            self._readout.counts.lines += lines
            if too_long:
                self._readout.reject(str(path), number, "line_too_long")
            width = len(layout.names) if quoted and layout is not None else None
            for at, record in _list_records(block, width):
                self._try(partial(_read_line, record, layout), as_it_is, str(path), number + at)
            number += lines
            self._progress(len(block))
        return number - 1

    def _read_rows(self, path: Path, start: int, end: int) -> int:
        number = 0
        for batch, size in iterate_batches(path, start, end):
            records = (partial(_keep, row) for row in batch.to_pylist())
            number = self._take(path, records, partial(_keep_row, schema=batch.schema), number)
            self._progress(size)
        return number

    def _take(
        self, path: Path, records: Iterable[Callable[[], Any]], as_it_is: AsItIs, before: int = 0
    ) -> int:
        number = before
        for number, record in enumerate(records, before + 1):
            self._readout.counts.lines += 1
            self._try(record, as_it_is, str(path), number)
        return number

    def _try(self, load: Callable[[], Any], as_it_is: AsItIs, where: str, number: int) -> None:
        try:
            record = load()
            given = self._script.run(record, where, number)
            self._readout.counts.dropped += given == []
            rows = as_it_is(record) if given is None else given
        except UnreadablePayloadError as error:
            self._readout.reject(where, number, error.reason)
        else:
            for row in rows:
                self._rows.add_cells(row, 0, where, number)

    def _list_elements(self, path: Path) -> Iterable[Callable[[], Any]]:
        if path.stat().st_size > LARGEST_WHOLE_DOCUMENT:
            try:
                for element in iterate_document(path):
                    self._progress(len(element))
                    yield partial(_load, element)
            except UnendingDocumentError:
                yield partial(_refuse, "unending_document")
            return
        content = path.read_bytes()
        self._progress(len(content))
        try:
            records = list_records(load_json(decode_text(content)))
        except UnreadablePayloadError as error:
            yield partial(_refuse, error.reason)
            return
        for record in records:
            yield partial(_keep, record)


def _list_records(block: bytes, width: int | None) -> Iterator[tuple[int, bytes]]:
    """The records of a block, each with the number of its first line, from 0; blank lines are none.

    Parameters
    ----------
    width
        Cells of a row of CSV that has quotes; None: every line is a record.
    """
    if width is None:
        yield from ((at, line) for at, line in enumerate(block.split(b"\n")) if line.strip())
        return
    # What is no UTF-8 comes back to the byte, and is refused where its line is read.
    lines = split_lines(block.decode("utf-8", "surrogateescape"))
    records = Records(lines, width)
    at = 0
    while at < len(lines):
        count = records.take(at).lines
        record = "".join(lines[at : at + count]).encode("utf-8", "surrogateescape").removesuffix(b"\n")
        if record.strip():
            yield at, record
        at += count


def _read_line(line: bytes, layout: CsvLayout | None) -> Any:
    text = decode_text(line).removesuffix("\r")
    return text if layout is not None else load_json(text)


def _keep_record(record: Any) -> list[Row]:
    return [flatten(each) for each in list_records(record)]


def _keep_line(record: str, layout: CsvLayout) -> list[Row]:
    rows = parse_csv_text(record)
    if not layout.has_names:
        return rows
    if any(len(row) != len(layout.names) for row in rows):
        raise UnreadablePayloadError("column_count")
    return [[(name, value) for name, (_, value) in zip(layout.names, row, strict=True)] for row in rows]


def _keep_row(record: Mapping[str, Any], schema: Iterable[pa.Field]) -> list[Row]:
    return [spell_row(record, schema)]


def _load(element: bytes) -> Any:
    return load_json(decode_text(element))


def _keep(record: Any) -> Any:
    return record


def _refuse(reason: str) -> Any:
    raise UnreadablePayloadError(reason)
