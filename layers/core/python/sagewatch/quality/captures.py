"""Capture files, merged ground truth and captured batch transforms: records to rows (CONTRACTS §1.5, §6.3).

Reason codes of rejected lines: ``not_json``, ``not_utf8``, ``not_a_capture``, ``line_too_long``, ``nothing_captured``,
``rows_do_not_match`` and those of ``parse_payload``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from sagewatch.errors import SagewatchError
from sagewatch.moment import read_moment
from sagewatch.quality.align import Mode
from sagewatch.quality.blocks import count_lines
from sagewatch.quality.cells import build_columns
from sagewatch.quality.dataset_format import INPUT, OUTPUT
from sagewatch.quality.payload import Row, UnreadablePayloadError, parse_payload
from sagewatch.quality.profile import MOST_COLUMNS, Shape
from sagewatch.quality.readout import Readout
from sagewatch.quality.record import Record, Side, Sides, decode_record, decode_records
from sagewatch.quality.rows import RowGatherer, count_cells
from sagewatch.quality.script import CapturedData, Preprocessor
from sagewatch.quality.template import LineTemplate, learn_template

BINARY: Final = "binary_payload"


class EncodingMismatchError(SagewatchError):
    """AWS's analyzer ends here, and in compat mode so do we: the two sides of a request differ in encoding."""

    def __init__(self, sent: str, answered: str) -> None:
        super().__init__(
            f"Error: Encoding mismatch: Encoding is {sent} for endpointInput, but Encoding is {answered} for "
            "endpointOutput. We currently only support the same type of input and output encoding at the moment."
        )
        self.sent = sent
        self.answered = answered


class Window(msgspec.Struct, frozen=True):
    """From when to when, the end excluded; None: open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """True for a time inside."""
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)

    @property
    def is_open(self) -> bool:
        """True where every time is inside."""
        return self.start is None and self.end is None


class CaptureReader:
    """Turns capture lines into rows: the model's answer first, then what was asked."""

    def __init__(
        self,
        readout: Readout,
        sides: tuple[str, ...] = (OUTPUT, INPUT),
        window: Window | None = None,
        mode: Mode = Mode.EXACT,
        preprocessor: Preprocessor | None = None,
    ) -> None:
        self._readout = readout
        self._sides = sides
        self._window = window or Window()
        self._mode = mode
        self._preprocessor = preprocessor
        self._rows = RowGatherer(readout)
        self._template: LineTemplate | None = None

    def add_block(self, block: bytes, where: str, first_line: int, hour: datetime | None = None) -> int:
        """Take in whole lines; the answer is their number.

        Parameters
        ----------
        where
            The file's name in reports of rejected lines.
        first_line
            Number of the block's first line, from 1.
        hour
            The time that the file's path tells; stands in for records that tell none.
        """
        alike = self._add_alike(block, where, first_line, hour) if self._preprocessor is None else 0
        lines = alike or count_lines(block)
        self._readout.counts.lines += lines
        if alike:
            return lines
        if self._preprocessor is None:
            records = decode_records(block)
            if len(records) == lines:
                for number, record in enumerate(records, first_line):
                    self._add_record(record, where, number, hour)
                return lines
        # A broken or blank line, or a script that wants each line whole.
        for number, line in enumerate(block.split(b"\n")[:lines], first_line):
            self._add_line(line, where, number, hour)
        return lines

    def flush(self) -> None:
        """Hand over what was gathered."""
        self._rows.flush()

    def _add_alike(self, block: bytes, where: str, first_line: int, hour: datetime | None) -> int:
        """The commonest case at once: lines that differ in their values alone, plain CSV on both sides.

        The answer is their number; 0 for any others, of which nothing is taken in.
        """
        if len(self._sides) < 2:  # noqa: PLR2004 - both sides
            return 0
        block = block if block.endswith(b"\n") else block + b"\n"
        fields = self._template.match(block) if self._template is not None else None
        if fields is None:
            self._template = learn_template(block[: block.index(b"\n")])
            fields = self._template.match(block) if self._template is not None else None
        if fields is None:
            return 0
        said, asked = fields.said, fields.asked
        rows = len(said.marks)
        if not self._window.is_open:
            times = {None} if fields.times is None else set(fields.times.cut(block))
            inside = {self._holds(None if time is None else time.decode(), hour) for time in times}
            if inside == {False}:
                self._readout.counts.outside_window += rows
            if inside != {True}:
                return rows if inside == {False} else 0
        shape = Shape(said.width + asked.width, said.width)
        if shape.width > MOST_COLUMNS or not (said.lengths.all() and asked.lengths.all()):
            return 0
        columns = build_columns(block, said) + build_columns(block, asked)
        self._rows.add_columns(columns, shape, where, first_line)
        return rows

    def _add_line(self, line: bytes, where: str, number: int, hour: datetime | None) -> None:
        if not line.strip():
            return
        try:
            record = decode_record(line)
        except (ValueError, RecursionError):
            self._readout.reject(where, number, _blame(line))
            return
        if self._preprocessor is not None and self._is_inside(record, hour):
            given = self._preprocessor.run(CapturedData(msgspec.json.decode(line)), where, number)
            if given is not None:
                self._readout.counts.dropped += not given
                for row in given:
                    self._rows.add_cells(row, 0, where, number)
                return
        self._add_record(record, where, number, hour)

    def _is_inside(self, record: Record, hour: datetime | None) -> bool:
        return self._window.is_open or self._holds(record.metadata.inferred_at, hour)

    def _holds(self, time: str | None, hour: datetime | None) -> bool:
        at = read_time(time) or hour
        return at is None or self._window.holds(at)

    def _add_record(self, record: Record, where: str, line: int, hour: datetime | None) -> None:
        if not self._window.is_open and not self._is_inside(record, hour):
            self._readout.counts.outside_window += 1
            return
        sides = record.sides or Sides(output=record.truth)
        sent = sides.input if INPUT in self._sides else None
        answered = (sides.output or sides.transform) if OUTPUT in self._sides else None
        if answered is not None and answered.content_type is None:
            self._readout.counts.error_responses += 1
            return
        if self._mode is Mode.COMPAT:
            _refuse_mismatch(sent, answered)
        try:
            if not self._add_plain(sent, answered, where, line):
                self._add_parsed(sent, answered, where, line)
        except UnreadablePayloadError as error:
            self._readout.reject(where, line, error.reason)

    def _add_plain(self, sent: Side | None, answered: Side | None, where: str, line: int) -> bool:
        """The common case, fast: a line of CSV on both sides, or several lines on both."""
        if sent is None or answered is None or sent.encoding != "CSV" or answered.encoding != "CSV":
            return False
        asked, said = (sent.data or "").strip("\r\n"), (answered.data or "").strip("\r\n")
        if not asked or not said or '"' in asked or '"' in said or "\r" in asked or "\r" in said:
            return False
        if "\n" in asked or "\n" in said:
            if self._mode is Mode.COMPAT:
                # AWS sees one value where several rows were sent.
                self._rows.add_cells([(None, asked)], 0, where, line)
                return True
            questions, answers = asked.split("\n"), said.split("\n")
            if len(questions) != len(answers) or "" in questions or "" in answers:
                return False
        else:
            questions, answers = [asked], [said]
        for question, answer in zip(questions, answers, strict=True):
            outputs = count_cells(answer)
            shape = Shape(outputs + count_cells(question), outputs)
            if shape.width > MOST_COLUMNS:
                raise UnreadablePayloadError("too_many_columns")
            self._rows.add_text(f"{answer},{question}", shape, where, line)
        return True

    def _add_parsed(self, sent: Side | None, answered: Side | None, where: str, line: int) -> None:
        answers = _parse(answered)
        try:
            questions = _parse(sent)
        except UnreadablePayloadError as error:
            # An image has no columns; what the model made of it has.
            if error.reason != BINARY or answers is None:
                raise
            questions = None
        for row, outputs in _join(questions, answers):
            self._rows.add_cells(row, outputs, where, line)


def read_time(text: str | None) -> datetime | None:
    """A time in ISO 8601, in UTC where it says nothing; None where it is none."""
    return read_moment(text.replace(" ", "")) if text else None


def _parse(side: Side | None) -> list[Row] | None:
    if side is None or side.data is None:
        return None
    rows = parse_payload(side.data, side.encoding, side.content_type or None)
    return [row for row in rows if row]


def _join(questions: list[Row] | None, answers: list[Row] | None) -> list[tuple[Row, int]]:
    """Rows of both sides side by side, answers first, with the number of the answer's cells."""
    if not questions and not answers:
        raise UnreadablePayloadError("nothing_captured")
    if not questions or not answers:
        return [(row, len(row) if answers else 0) for row in answers or questions or []]
    if len(answers) == 1 and len(questions) > 1 and len(answers[0]) == len(questions):
        # One line of answers to several rows.
        answers = [[cell] for cell in answers[0]]
    if len(questions) == 1 and len(answers) > 1:
        answers = [[cell for row in answers for cell in row]]
    if len(questions) != len(answers):
        raise UnreadablePayloadError("rows_do_not_match")
    return [
        ([*_distinguish(answer, question), *question], len(answer))
        for question, answer in zip(questions, answers, strict=True)
    ]


def _distinguish(answer: Row, question: Row) -> Row:
    """A name that both sides use belongs to the question, as in the training data."""
    taken = {name for name, _ in question}
    return [
        (f"output.{name}" if name is not None and name in taken else name, value) for name, value in answer
    ]


def _refuse_mismatch(sent: Side | None, answered: Side | None) -> None:
    if sent is None or answered is None or sent.encoding == answered.encoding:
        return
    raise EncodingMismatchError(str(sent.encoding), str(answered.encoding))


def _blame(line: bytes) -> str:
    try:
        msgspec.json.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "not_utf8"
    except (ValueError, RecursionError):
        return "not_json"
    return "not_a_capture"
