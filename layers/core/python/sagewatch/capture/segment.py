"""The predictions of one capture file, small enough to store, in the order in which they were made.

Order is kept because repeats matter: ten frames of one video are not ten independent predictions.
"""

from __future__ import annotations

import zlib
from datetime import datetime

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream

NO_CONFIDENCE = 255
"""The confidence byte of a prediction that came without one."""

CONFIDENCE_STEPS = 254
"""A confidence of 1 is stored as this byte; 0 as 0."""

REJECTED_LINES_NAMED = 10
"""Unreadable lines that a segment names."""

MOST_IN_PIECE = 250_000
"""Predictions of a stored piece at the most, however well they deflate: a fold holds lists of one piece at a time."""

_NARROW = 256  # up to so many labels one byte an index is enough
_DICTIONARY_KEYS = (
    b"rejected_reasonsconfidencesclasseslabelsfirst_atlast_atstreambucketetagkeyAllTraffic.jsonl"
)


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one capture file (or one piece of a very large one) says, without any payload.

    Attributes
    ----------
    bucket, key, etag, part
        Identity. ``part`` counts the pieces of one file from 0, ``parts`` is how many there are.
    first_at, last_at
        Times of the file's first and last record, UTC. Pieces of one file share them.
    labels
        Distinct classes in the order of their first appearance.
    classes
        One index into ``labels`` for each prediction: 1 byte, or 2 little-endian if there are more than
        256 labels.
    confidences
        One byte each, ``round(254 * confidence)``, 255 where a prediction had none; empty if none had.
    lines
        The line of each prediction in the file; empty when they are ``first_line``, ``first_line + 1``, ...
    rejected, rejected_reasons
        Lines that could not be read, and why. In a split file the first piece carries them.
    rejected_lines
        The first of them by number, at most ``REJECTED_LINES_NAMED``.
    errors
        Lines whose output has a null content type: the endpoint answered with an error.
    counted_at
        When it was counted; None before, and for what was counted before this was noted.
    """

    bucket: str
    key: str
    etag: str
    stream: Stream
    first_at: datetime
    last_at: datetime
    labels: tuple[str, ...] = ()
    classes: bytes = b""
    confidences: bytes = b""
    lines: tuple[int, ...] = ()
    first_line: int = 1
    rejected: int = 0
    rejected_reasons: dict[str, int] = {}
    rejected_lines: tuple[int, ...] = ()
    errors: int = 0
    part: int = 0
    parts: int = 1
    counted_at: datetime | None = None

    @property
    def lasted_until(self) -> datetime:
        """Its last record's time, and no later than it was counted: one clock that is years ahead tells no time."""
        return min(self.last_at, self.counted_at or self.last_at)

    @property
    def width(self) -> int:
        """Bytes of one index in ``classes``: 1 or 2."""
        return 1 if len(self.labels) <= _NARROW else 2

    @property
    def predictions(self) -> int:
        """How many predictions it holds."""
        return len(self.classes) // self.width

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What makes it the same segment when it is delivered again."""
        return (self.bucket, self.key, self.etag, self.part)

    @property
    def position(self) -> tuple[datetime, str, int]:
        """Its place in the order of its stream."""
        return (self.first_at, self.key, self.part)

    def indexes(self) -> bytes | memoryview:
        """The classes as a sequence of integers, whatever their width."""
        return self.classes if self.width == 1 else _wide(self.classes)

    def line(self, index: int) -> int:
        """The line of a prediction in the capture file, counted from 1."""
        return self.lines[index] if self.lines else self.first_line + index

    def confidence(self, index: int) -> float | None:
        """The confidence of a prediction in [0, 1], or None if it had none."""
        if not self.confidences or self.confidences[index] == NO_CONFIDENCE:
            return None
        return self.confidences[index] / CONFIDENCE_STEPS

    def count_labels(self) -> dict[str, int]:
        """Predictions of each label, in the order of ``labels``."""
        counts = [0] * len(self.labels)
        for index in self.indexes():
            counts[index] += 1
        return dict(zip(self.labels, counts, strict=True))


def split_segment(segment: Segment, predictions: int) -> tuple[Segment, ...]:
    """Pieces of at most so many predictions, which folded one after another say the same as the whole.

    Raises
    ------
    ValueError
        If ``predictions`` is below 1.
    """
    if predictions < 1:
        raise ValueError(f"a piece holds at least 1 prediction, not {predictions}")
    if segment.predictions <= predictions:
        return (segment,)
    starts = range(0, segment.predictions, predictions)
    parts = segment.parts + len(starts) - 1
    return tuple(
        _cut_piece(segment, start, start + predictions, segment.part + number, parts)
        for number, start in enumerate(starts)
    )


def encode_segment(segment: Segment, *, limit_bytes: int = 340_000) -> tuple[bytes, ...]:
    """The stored form: msgpack, deflated, cut into as many pieces as the limit of one item asks for.

    The cut does not depend on ``counted_at``: whoever counts the same file again cuts it into the same pieces.

    Parameters
    ----------
    limit_bytes
        DynamoDB's item limit is 400 KB, and the item has other attributes.

    Raises
    ------
    ValueError
        If even a single prediction does not fit.
    """
    plain = msgspec.structs.replace(segment, counted_at=None)
    raw = msgspec.msgpack.encode(plain)
    # Deflated it is hardly ever longer: the size of nearly all files is known without deflating them twice.
    size_bytes = len(raw) if len(raw) <= limit_bytes else len(_deflate(raw))
    if size_bytes <= limit_bytes and segment.predictions <= MOST_IN_PIECE:
        return (_deflate(msgspec.msgpack.encode(segment)),)
    half = segment.predictions // 2
    if not half:
        raise ValueError(f"one prediction takes {size_bytes} bytes, more than {limit_bytes}")
    # Deflate's ratio differs from piece to piece: shrink the pieces until every one fits.
    pieces = max(2, -(-size_bytes // limit_bytes), -(-segment.predictions // MOST_IN_PIECE))
    while pieces <= segment.predictions * 2:
        size = max(1, segment.predictions // pieces)
        cut = split_segment(plain, size)
        if all(len(_deflate(msgspec.msgpack.encode(piece))) <= limit_bytes for piece in cut):
            return tuple(_deflate(msgspec.msgpack.encode(piece)) for piece in split_segment(segment, size))
        pieces *= 2
    raise ValueError(f"one prediction takes more than {limit_bytes} bytes")


def decode_segment(blob: bytes) -> Segment:
    """Read one stored piece back.

    Raises
    ------
    RejectedInputError
        If the bytes are no stored segment.
    """
    try:
        inflate = zlib.decompressobj(zdict=_DICTIONARY_KEYS)
        return msgspec.msgpack.decode(inflate.decompress(blob) + inflate.flush(), type=Segment)
    except (zlib.error, ValueError) as error:
        raise RejectedInputError("not_a_stored_segment", where="segment") from error


def _cut_piece(segment: Segment, start: int, stop: int, part: int, parts: int) -> Segment:
    width = segment.width
    first = start == 0
    return msgspec.structs.replace(
        segment,
        classes=segment.classes[start * width : stop * width],
        confidences=segment.confidences[start:stop],
        lines=segment.lines[start:stop],
        first_line=segment.first_line + start,
        rejected=segment.rejected if first else 0,
        rejected_reasons=segment.rejected_reasons if first else {},
        rejected_lines=segment.rejected_lines if first else (),
        errors=segment.errors if first else 0,
        part=part,
        parts=parts,
    )


def _deflate(data: bytes) -> bytes:
    # Most files are small: a preset dictionary saves the field names.
    deflate = zlib.compressobj(level=6, zdict=_DICTIONARY_KEYS)
    return deflate.compress(data) + deflate.flush()


def _wide(classes: bytes) -> memoryview:
    # Every machine we run on (x86-64, arm64) is little-endian, as the stored form is.
    return memoryview(classes).cast("H")
