"""How a detector's statistic went, for the evidence chart: packed, because it is kept in the state."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import msgspec

POINTS_KEPT = 400

_POINT = struct.Struct("<IIf")


class TracePoint(msgspec.Struct, frozen=True, array_like=True):
    """The statistic at the end of a segment, or at an alarm.

    Attributes
    ----------
    at
        The last prediction, to the second.
    predictions
        How many this detector had seen of the stream by then.
    log10_excess
        log10(statistic / threshold): the alarm is at 0.
    """

    at: datetime
    predictions: int
    log10_excess: float


def append_trace(packed: bytes, point: TracePoint) -> bytes:
    """The trace after one more point; the oldest ones fall off."""
    seconds = max(0, int(point.at.timestamp())) & 0xFFFFFFFF
    added = _POINT.pack(seconds, point.predictions & 0xFFFFFFFF, point.log10_excess)
    return (packed + added)[-POINTS_KEPT * _POINT.size :]


def read_trace(packed: bytes) -> tuple[TracePoint, ...]:
    """The points, oldest first."""
    return tuple(_build_point(*values) for values in _POINT.iter_unpack(packed))


def read_last(state: msgspec.Struct) -> TracePoint | None:
    """The last point of a detector's state, which keeps its trace in the field ``trace`` if it has one."""
    packed: bytes = getattr(state, "trace", b"")
    return _build_point(*_POINT.unpack_from(packed, len(packed) - _POINT.size)) if packed else None


def _build_point(seconds: int, predictions: int, excess: float) -> TracePoint:
    return TracePoint(datetime.fromtimestamp(seconds, UTC), predictions, excess)
