"""What comes and goes: when an incident ends, and when it is summed up instead of told each time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

OPENINGS_KEPT = 32
"""Openings of a fingerprint that its record remembers."""


class Flapping(msgspec.Struct, frozen=True, kw_only=True):
    """How patient Sagewatch is with what comes and goes.

    Attributes
    ----------
    hold
        An incident ends only when its evidence has stayed away for so long; what comes back before belongs to it.
    budget
        So many incidents of a fingerprint are told within ``per``; those beyond are summed up.
    per
        The stretch of time of the budget.
    digest
        At least this much time lies between two summaries; what stays open so long is told by itself.
    """

    hold: timedelta = timedelta(0)
    budget: int = 6
    per: timedelta = timedelta(days=1)
    digest: timedelta = timedelta(hours=6)


def is_flapping(openings: Sequence[datetime], at: datetime, flapping: Flapping) -> bool:
    """Whether one more opening is beyond the budget.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> is_flapping([noon - timedelta(hours=h) for h in (1, 2, 30)], noon, Flapping(budget=3))
    False
    >>> is_flapping([noon - timedelta(hours=h) for h in (1, 2, 3)], noon, Flapping(budget=3))
    True
    """
    return sum(at - flapping.per < one <= at for one in openings) >= flapping.budget


def remember_opening(openings: Sequence[datetime], at: datetime) -> tuple[datetime, ...]:
    """The openings with one more, the oldest forgotten."""
    return tuple(sorted({*openings, at}))[-OPENINGS_KEPT:]
