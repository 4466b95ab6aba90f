"""The state table in memory, with the captures' segments as they are: nothing is packed to be unpacked again."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.finding import Stream
from sagewatch.memory.items import MemoryItems
from sagewatch.state import State

_Place = tuple[datetime, tuple[str, str, str, int]]


class MemoryState(State):
    """``State`` for replays of whole days: the same answers, at a fraction of the work.

    Attributes
    ----------
    before_counting
        What a backtest makes of a segment before it counts.
    """

    def __init__(self) -> None:
        super().__init__(MemoryItems())
        self.before_counting: Callable[[Segment], Segment] = _leave
        self._segments: dict[tuple[str, str, str, int], Segment] = {}
        self._places: dict[Stream, list[_Place]] = {}
        self._streams: dict[str, list[Stream]] = {}

    def note_stream(self, stream: Stream) -> None:
        """Remember that the endpoint has this stream."""
        known = self._streams.setdefault(stream.endpoint, [])
        if stream not in known:
            insort(known, stream)

    def list_streams(self, endpoint: str) -> list[Stream]:
        """The streams of an endpoint that ever had a capture."""
        return list(self._streams.get(endpoint, ()))

    def put_segment(self, segment: Segment, now: datetime) -> bool:
        """Count a capture object; False where it had been counted before."""
        if segment.identity in self._segments:
            return False
        counted = msgspec.structs.replace(segment, counted_at=now)
        self._segments[segment.identity] = self.before_counting(counted)
        insort(self._places.setdefault(segment.stream, []), (segment.first_at, segment.identity))
        return True

    def load_segments(self, stream: Stream, since: datetime | None) -> list[Segment]:
        """The stream's segments that begin at or after a time, in order of time."""
        places = self._places.get(stream, [])
        start = bisect_left(places, since, key=_get_time) if since else 0
        return [self._segments[identity] for _, identity in places[start:]]

    def forget_before(self, stream: Stream, before: datetime) -> None:
        """Drop segments that begin before a time, as the table's expiry would."""
        places = self._places.get(stream, [])
        end = bisect_left(places, before, key=_get_time)
        for _, identity in places[:end]:
            del self._segments[identity]
        del places[:end]


def _get_time(place: _Place) -> datetime:
    return place[0]


def _leave(segment: Segment) -> Segment:
    return segment
