"""What comes and goes: when an incident ends, and when it is summed up instead of told each time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.finding import Severity

OPENINGS_KEPT = 32
"""Openings of a fingerprint, of each severity, that its record remembers."""


class Flapping(msgspec.Struct, frozen=True, kw_only=True):
    """How patient Sagewatch is with what comes and goes.

    Attributes
    ----------
    hold
        An incident ends only when its evidence has stayed away for so long; what comes back before belongs to it.
    budget
        So many incidents of a fingerprint, each at least as bad as the next, are told within ``per``; those beyond
        are summed up.
    per
        The stretch of time of the budget.
    digest
        At least this much time lies between two summaries of the same; what stays open so long is told by itself.
    """

    hold: timedelta = timedelta(0)
    budget: int = 6
    per: timedelta = timedelta(days=1)
    digest: timedelta = timedelta(hours=6)


class Opening(msgspec.Struct, frozen=True):
    """An incident opened while people could be told of it: when, and how bad it has become."""

    at: datetime
    severity: Severity


def is_flapping(counted: Sequence[Opening], new: Opening, flapping: Flapping) -> bool:
    """Whether one more opening is beyond the budget: what is milder uses up nothing of what a worse one may tell.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> warnings = [Opening(noon - timedelta(hours=h), Severity.WARNING) for h in (1, 2, 3, 30)]
    >>> is_flapping(warnings, Opening(noon, Severity.WARNING), Flapping(budget=4))
    False
    >>> is_flapping(warnings, Opening(noon, Severity.WARNING), Flapping(budget=3))
    True
    >>> is_flapping(warnings, Opening(noon, Severity.CRITICAL), Flapping(budget=3))
    False
    """
    as_bad = [one for one in counted if one.severity.rank >= new.severity.rank]
    return sum(new.at - flapping.per < one.at < new.at for one in as_bad) >= flapping.budget


def count_opening(counted: Sequence[Opening], new: Opening) -> tuple[Opening, ...]:
    """The openings with one more, or with one that has become worse; the oldest of each severity forgotten."""
    latest = sorted([*(one for one in counted if one.at != new.at), new], key=lambda one: one.at)
    kept = [[one for one in latest if one.severity is severity][-OPENINGS_KEPT:] for severity in Severity]
    return tuple(one for one in latest if any(one in as_bad for as_bad in kept))


def remember_opening(openings: Sequence[datetime], at: datetime) -> tuple[datetime, ...]:
    """The openings with one more, the oldest forgotten."""
    return tuple(sorted({*openings, at}))[-OPENINGS_KEPT:]
