"""Single capture lines, payload included: for evidence, never for counting."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sagewatch.capture.answer import Output
from sagewatch.capture.blocks import Source, iterate_blocks
from sagewatch.capture.spec import MEBIBYTE
from sagewatch.errors import RejectedInputError
from sagewatch.moment import read_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Payload(msgspec.Struct, frozen=True):
    """What one side of a request carried: its bytes as they went over the wire, and their content type."""

    content: bytes
    content_type: str


class Record(msgspec.Struct, frozen=True):
    """One captured request.

    Attributes
    ----------
    event_id
        SageMaker's own id of the request.
    inferred_at
        When it was answered, UTC; None where the line does not say.
    input, output
        The payloads; None for a side that was not captured.
    """

    event_id: str
    inferred_at: datetime | None
    input: Payload | None
    output: Payload | None


class _Data(msgspec.Struct):
    input: Output | None = msgspec.field(default=None, name="endpointInput")
    output: Output | None = msgspec.field(default=None, name="endpointOutput")


class _Metadata(msgspec.Struct):
    event_id: str = msgspec.field(default="", name="eventId")
    inferred_at: str | None = msgspec.field(default=None, name="inferenceTime")


class _Line(msgspec.Struct):
    data: _Data = msgspec.field(name="captureData")
    metadata: _Metadata = msgspec.field(default_factory=_Metadata, name="eventMetadata")


_decoder = msgspec.json.Decoder(_Line)


def read_record(line: bytes, *, where: str = "capture line") -> Record:
    """Decode one capture line with its payloads: a captured image comes back as the bytes that were sent.

    Parameters
    ----------
    line
        One line of a capture file, with or without its newline.
    where
        Names the object in an error.

    Raises
    ------
    RejectedInputError
        ``not_a_capture`` or ``bad_base64``.
    """
    try:
        row = _decoder.decode(line)
    except (ValueError, RecursionError) as error:
        raise RejectedInputError("not_a_capture", where=where) from error
    return Record(
        event_id=row.metadata.event_id,
        inferred_at=_read_time(row.metadata.inferred_at),
        input=_read_payload(row.data.input, where, "endpointInput"),
        output=_read_payload(row.data.output, where, "endpointOutput"),
    )


def pick_lines(
    source: Source, numbers: Collection[int], *, longest_line_bytes: int = 64 * MEBIBYTE
) -> Iterator[tuple[int, bytes]]:
    """Take certain lines out of a capture file, one at a time, in memory of one line and one buffer.

    Parameters
    ----------
    source
        The file's bytes, as for ``read_capture``.
    numbers
        Line numbers, counted from 1. Numbers beyond the end are left out of the answer.
    """
    wanted = set(numbers)
    last = max(wanted, default=0)
    before = 0
    for block in iterate_blocks(source, longest_line_bytes) if wanted else ():
        if not block.too_long:
            for number, line in enumerate(block.split(), before + 1):
                if number in wanted:
                    yield number, line.rstrip(b"\n")
        before += len(block.ends)
        if before >= last:
            break


def _read_payload(side: Output | None, where: str, key: str) -> Payload | None:
    if side is None or side.data is None:
        return None
    content_type = side.content_type or ""
    if side.encoding != "BASE64":
        return Payload(side.data.encode(), content_type)
    try:
        return Payload(base64.b64decode(side.data, validate=True), content_type)
    except (binascii.Error, ValueError) as error:
        raise RejectedInputError("bad_base64", where=where, key=key) from error


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else read_moment(text)
