"""A whole capture file to one segment, at the speed of the decoder and in constant memory.

Reason codes of rejected lines: ``not_json``, ``not_utf8``, ``not_a_capture`` (another record, or a field of
another type), ``line_too_long``, ``no_output``, ``unknown_encoding``, ``bad_base64``, ``output_not_json``,
``output_not_csv``, ``prediction_not_found``, ``class_not_a_scalar``, ``class_empty``, ``class_too_long``,
``too_many_classes``. Lines with a null output content type are error responses, counted apart as ``errors``.
"""

from __future__ import annotations

from array import array
from collections import Counter
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from sagewatch.capture.answer import Output
from sagewatch.capture.answers import ERROR_RESPONSE, Answer, Answers
from sagewatch.capture.blocks import Block, Source, iterate_blocks
from sagewatch.capture.excision import cut_payloads
from sagewatch.capture.segment import NO_CONFIDENCE, REJECTED_LINES_NAMED, Segment
from sagewatch.moment import read_moment

if TYPE_CHECKING:
    from sagewatch.capture.location import CaptureLocation
    from sagewatch.capture.spec import CaptureSpec

REJECTED_LINES_KEPT = 100
"""Rejected lines named one by one in a readout; all of them are counted."""


class RejectedLine(msgspec.Struct, frozen=True):
    """A line that could not be read: its number from 1, a reason code, and the object it lies in."""

    line: int
    reason: str
    key: str


class Readout(msgspec.Struct, frozen=True):
    """What reading a capture file gave.

    Attributes
    ----------
    segment
        Its predictions, and how many lines were rejected for what.
    rejected
        The first rejected lines, at most ``REJECTED_LINES_KEPT``.
    lines
        Lines in the file, blank ones included.
    """

    segment: Segment
    rejected: tuple[RejectedLine, ...]
    lines: int


class _Data(msgspec.Struct, frozen=True, gc=False):
    output: Output = msgspec.field(default=Output(), name="endpointOutput")


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    inferred_at: str | None = msgspec.field(default=None, name="inferenceTime")


class _Line(msgspec.Struct, frozen=True, gc=False):
    # Everything not named here, the input payload above all, is skipped without being decoded.
    data: _Data = msgspec.field(name="captureData")
    metadata: _Metadata = msgspec.field(default=_Metadata(), name="eventMetadata")


_decoder = msgspec.json.Decoder(_Line)
_get_output = attrgetter("data.output")


_get_classes = attrgetter("classes")
_get_confidences = attrgetter("confidences")


class _Reading:
    """What has been read of a file so far."""

    def __init__(self, location: CaptureLocation, spec: CaptureSpec) -> None:
        self.location = location
        self.answers = Answers(spec)
        self.classes = bytearray()
        self.confidences = bytearray()
        self.lines: array[int] | None = None  # None while prediction n stands on line n
        self.read_lines = 0
        self.rejected: list[RejectedLine] = []
        self.reasons: Counter[str] = Counter()
        self.last_inferred_at: str | None = None

    def add_block(self, block: Block) -> None:
        """Take in whole lines: all at once where nothing is odd, else line by line."""
        if block.too_long:
            self.read_lines += 1
            self.reject("line_too_long")
            return
        rows = _decode_lines(block)
        if rows is not None:
            self.add_rows(rows)
            return
        # A broken or blank line, or two records on one line: find out which.
        for line in block.split():
            self.add_line(line)

    def add_rows(self, rows: list[_Line]) -> None:
        """Take in decoded lines, one after another."""
        self.last_inferred_at = rows[-1].metadata.inferred_at or self.last_inferred_at
        answers = self.answers.look_up(list(map(_get_output, rows)))
        if self.answers.plain and self.lines is None:
            self.read_lines += len(rows)
            self.classes += b"".join(map(_get_classes, answers))
            self.confidences += b"".join(map(_get_confidences, answers))
            return
        for answer in answers:
            self.read_lines += 1
            self.add_answer(answer)

    def add_line(self, line: bytes) -> None:
        """Take in one line of a block in which something is odd."""
        if not line.strip():
            self.read_lines += 1
            self._spell_out_lines()
            return
        try:
            row = _decoder.decode(line)
        except msgspec.ValidationError:
            reason = "not_a_capture"
        except UnicodeDecodeError:
            reason = "not_utf8"
        except (ValueError, RecursionError):
            reason = "not_json"
        else:
            self.add_rows([row])
            return
        self.read_lines += 1
        self.reject(reason)

    def add_answer(self, answer: Answer) -> None:
        """Take in the answer of the line just counted."""
        if answer.reason is not None:
            self.reject(answer.reason)
            return
        if self.lines is None and answer.count != 1:
            self._spell_out_lines()
        self.classes += answer.classes
        self.confidences += answer.confidences
        if self.lines is not None:
            self.lines.extend([self.read_lines] * answer.count)

    def reject(self, reason: str) -> None:
        """Count the line just read as one without predictions."""
        self._spell_out_lines()
        self.reasons[reason] += 1
        if len(self.rejected) < REJECTED_LINES_KEPT:
            self.rejected.append(RejectedLine(self.read_lines, reason, self.location.key))

    def _spell_out_lines(self) -> None:
        if self.lines is None:
            self.lines = array("L", range(1, len(self.confidences) + 1))

    def build_readout(self) -> Readout:
        """Close the file."""
        errors = self.reasons.pop(ERROR_RESPONSE, 0)
        labels = self.answers.labels
        # The first label beyond 256 needs the second byte; until then every other byte is 0.
        classes = bytes(self.classes[::2]) if len(labels) <= 256 else bytes(self.classes)  # noqa: PLR2004
        blank = self.confidences.count(NO_CONFIDENCE) == len(self.confidences)
        segment = Segment(
            bucket=self.location.bucket,
            key=self.location.key,
            etag=self.location.etag,
            stream=self.location.stream,
            first_at=self.location.first_at,
            last_at=_read_time(self.last_inferred_at, self.location.first_at),
            labels=labels,
            classes=classes,
            confidences=b"" if blank else bytes(self.confidences),
            lines=_shorten_lines(self.lines),
            rejected=self.reasons.total(),
            rejected_reasons=dict(sorted(self.reasons.items())),
            rejected_lines=self._name_rejected_lines(),
            errors=errors,
        )
        return Readout(segment, tuple(self.rejected), self.read_lines)

    def _name_rejected_lines(self) -> tuple[int, ...]:
        unreadable = (each.line for each in self.rejected if each.reason != ERROR_RESPONSE)
        return tuple(islice(unreadable, REJECTED_LINES_NAMED))


def read_capture(source: Source, location: CaptureLocation, spec: CaptureSpec) -> Readout:
    """Read a capture file to the end: every prediction in order, every bad line counted and named.

    Parameters
    ----------
    source
        The file's bytes: a stream with ``readinto``, or chunks of any sizes. What it raises passes through.
    location
        Which object it is.
    spec
        Where class and confidence stand in an answer.

    Returns
    -------
    Readout
        A file without a good line gives a segment without predictions; no bytes make it raise.

    Raises
    ------
    ConfigurationError
        If a path of the spec is not one.
    """
    reading = _Reading(location, spec)
    for block in iterate_blocks(source, spec.longest_line_bytes):
        reading.add_block(block)
    return reading.build_readout()


def _decode_lines(block: Block) -> list[_Line] | None:
    """One record for each line, or None if that is not what the block holds."""
    shortened = cut_payloads(block)
    try:
        if shortened is not None:
            rows = _decoder.decode_lines(shortened)
        else:
            with memoryview(block.buffer) as view, view[block.begin : block.end] as lines:
                rows = _decoder.decode_lines(lines)
    except (ValueError, RecursionError):
        return None
    return rows if len(rows) == len(block.ends) else None


def _shorten_lines(lines: array[int] | None) -> tuple[int, ...]:
    if lines is None or all(line == at for at, line in enumerate(lines, 1)):
        return ()
    return tuple(lines)


def _read_time(text: str | None, first_at: datetime) -> datetime:
    """The last record's time, which is in whole seconds; never before the first record's."""
    return max(first_at, (read_moment(text) if text is not None else None) or first_at)
