"""What was captured when: counts in bins of equal length over the incident's time, never a payload.

A capture file tells the times of its first and last record and the order of all: each of its predictions is
placed between the two as if they had come evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sagewatch.capture import Segment
from sagewatch.evidence.model import CaptureBin, Captured

MOST_BINS = 48
"""So many bars can be told apart on a phone."""

_SMALL_PART = 4
"""A stretch that is so many times as long as all that was captured in it would press the bars together."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


def count_captures(
    segments: Iterable[Segment], start: datetime, end: datetime, subject: str = ""
) -> Captured | None:
    """The captures of a stretch of time, in at most ``MOST_BINS`` bins; None where there were none.

    Where they take but a small part of it (a rehearsal of days ago, a long silence) the bins hold that part alone.

    Parameters
    ----------
    subject
        A class, whose predictions are counted apart.
    """
    known = list(segments)
    step = _choose_step((end - start).total_seconds())
    start = _floor(start, step)
    held = list(_pick(known, start, end))
    if not held:
        return None
    first, last = min(one.first_at for one in held), max(one.last_at for one in held)
    if last - first < (end - start) / _SMALL_PART:
        start, end = max(first, start), min(last, end)
        step = _choose_step((end - start).total_seconds())
        start = _floor(start, step)
        held = list(_pick(known, start, end))
    bins = _Bins(start, step, int((end - start).total_seconds() // step) + 1)
    for segment in held:
        bins.add(segment, subject)
    return Captured(
        step_seconds=step,
        bins=tuple(bins.build()),
        files=len({one.identity[:3] for one in held}),
        first_at=min(one.first_at for one in held),
        last_at=max(one.last_at for one in held),
    )


def _pick(segments: Iterable[Segment], start: datetime, end: datetime) -> Iterator[Segment]:
    return (one for one in segments if one.last_at >= start and one.first_at <= end)


def find_bin_end(one: CaptureBin, step_seconds: int) -> datetime:
    """When a bin ends; one at the edge of the calendar where that ends."""
    try:
        return one.start + timedelta(seconds=step_seconds)
    except OverflowError:
        return one.start


class _Bins:
    """Counts from a time on, in steps of so many seconds."""

    def __init__(self, start: datetime, step: int, count: int) -> None:
        self._start, self._step = start, step
        self._predictions = [0] * count
        self._subject = [0] * count
        self._rejected = [0] * count

    def add(self, segment: Segment, subject: str) -> None:
        label = segment.labels.index(subject) if subject in segment.labels else None
        for number, first, behind in self._share_out(segment, segment.predictions):
            self._predictions[number] += behind - first
            if label is not None:
                self._subject[number] += _count(segment.indexes()[first:behind], label)
        for number, first, behind in self._share_out(segment, segment.rejected):
            self._rejected[number] += behind - first

    def build(self) -> Iterator[CaptureBin]:
        counts = zip(self._predictions, self._subject, self._rejected, strict=True)
        for number, (predictions, of_subject, rejected) in enumerate(counts):
            at = self._start + timedelta(seconds=number * self._step)
            yield CaptureBin(at, predictions, of_subject, rejected)

    def _share_out(self, segment: Segment, count: int) -> Iterator[tuple[int, int, int]]:
        """For each bin that holds some of a segment's records: its number, and from and before which record."""
        length = (segment.last_at - segment.first_at).total_seconds() / segment.parts
        offset = (segment.first_at - self._start).total_seconds() + segment.part * length
        gap = length / max(count - 1, 1)

        def find(seconds: float) -> int:
            """How many records came before a time."""
            if gap == 0:
                return count if offset < seconds else 0
            return min(max(math.ceil((seconds - offset) / gap), 0), count)

        first = max(int(offset // self._step), 0)
        last = min(int((offset + length) // self._step), len(self._predictions) - 1)
        for number in range(first, last + 1):
            begin, behind = find(number * self._step), find((number + 1) * self._step)
            if behind > begin:
                yield number, begin, behind


def _choose_step(seconds: float) -> int:
    """The length of a bin that a person would choose."""
    enough = (step for step in _STEPS if step * (MOST_BINS - 1) >= seconds)
    return next(enough, math.ceil(seconds / (MOST_BINS - 1)))


def _floor(at: datetime, step: int) -> datetime:
    """The time that a bin of so many seconds begins at."""
    past = at.timestamp() % step
    try:
        return at - timedelta(seconds=past)
    except OverflowError:  # a hostile time at the edge of the calendar
        return at


def _count(indexes: bytes | memoryview, label: int) -> int:
    return indexes.count(label) if isinstance(indexes, bytes) else indexes.tolist().count(label)
