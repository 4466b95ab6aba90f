"""Stretches of traffic: which one a run looks at, and in which capture folders it lies.

Source: SageMaker developer guide, "Container contract inputs" (windows) and "Capture data" (folders by hour, UTC).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

HOUR: Final = timedelta(hours=1)
SETTLE: Final = timedelta(minutes=10)
"""Captures come minutes after their request (measured: up to four); a window is judged when it is this old.
SageMaker's own schedules wait up to twenty."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Span(msgspec.Struct, frozen=True):
    """A stretch of time, UTC; its end is not part of it."""

    start: datetime
    end: datetime


def choose_span(at: datetime, every: timedelta, settle: timedelta = SETTLE) -> Span:
    """The latest whole window that is over since ``settle``: 09:00 to 10:00 for a run at 10:10.

    Parameters
    ----------
    at
        When the run is due.
    every
        The window's length; windows begin at multiples of it since 1970, so an hour's begin on the hour.

    Examples
    --------
    >>> span = choose_span(datetime(2026, 11, 21, 10, 12, tzinfo=UTC), timedelta(hours=1))
    >>> f"{span.start:%H:%M} {span.end:%H:%M}"
    '09:00 10:00'
    """
    end = _EPOCH + ((at.astimezone(UTC) - settle - _EPOCH) // every) * every
    return Span(end - every, end)


def list_hours(span: Span) -> list[str]:
    """The capture folders, ``yyyy/mm/dd/hh``, that hold the window's records.

    A file lies in the hour of its first record. What little reaches into the next hour is left out, as AWS does; of a
    window shorter than an hour, which AWS has not, it would be all: there the hour before is looked into.

    Examples
    --------
    >>> list_hours(Span(datetime(2026, 1, 1, 0, tzinfo=UTC), datetime(2026, 1, 1, 1, 30, tzinfo=UTC)))
    ['2026/01/01/00', '2026/01/01/01']
    """
    reach = SETTLE if span.end - span.start < HOUR else timedelta()
    first = (span.start - reach).replace(minute=0, second=0, microsecond=0)
    number = -((first - span.end) // HOUR)
    return [f"{first + n * HOUR:%Y/%m/%d/%H}" for n in range(number)]


def format_time(moment: datetime) -> str:
    """A time as the container contract spells it.

    Examples
    --------
    >>> format_time(datetime(2026, 11, 21, 9, tzinfo=UTC))
    '2026-11-21T09:00:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
