"""The looks of a schedule's runs at the data, in the order of their windows: whatever order they come in, the same is open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from sagewatch.datapoints import Datapoints

# A job runs for an hour at most, begins up to 20 minutes after it was due, and its event is told again for a while.
SLOWEST: Final = timedelta(hours=2)
# A run that is further behind than so many of its windows is no slow one either: somebody looks at the past.
MOST_BEHIND: Final = 2
# Two hours of five minutes are 24; runs whose windows nobody knows are kept by number alone.
_FEWEST_LATE: Final = 4
_MOST_LATE: Final = 50


class Look(msgspec.Struct, frozen=True, omit_defaults=True):
    """One look at the data of a window, and what held after it.

    Attributes
    ----------
    at
        The window's end.
    is_bad
        Whether there were violations.
    is_few
        Whether the rows had collapsed; None where the run could not tell.
    is_open
        Whether an episode was open after it; None where an older version looked.
    holds_few
        Whether a collapse of rows was in that episode, and no run had said since that it is over.
    """

    at: datetime
    is_bad: bool
    is_few: bool | None = None
    is_open: bool | None = None
    holds_few: bool = False


def measure_reach(length: timedelta | None) -> timedelta:
    """How far behind the latest window a run may be, and still be no look at the past."""
    return max(SLOWEST, MOST_BEHIND * length) if length else SLOWEST


def weave_look(
    looks: Sequence[Look], look: Look, patience: Datapoints, reach: timedelta, before: Look
) -> tuple[Look, ...] | None:
    """The latest looks with one more, each judged after those of earlier windows; None where it is older than all that is kept.

    Parameters
    ----------
    reach
        For how long looks are kept beyond those that patience asks for (``measure_reach``).
    before
        What holds now, for the looks of an older version, which do not tell.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon, hour = datetime(2026, 11, 21, 12, tzinfo=UTC), timedelta(hours=1)
    >>> nothing = Look(noon, is_bad=False, is_open=False)
    >>> late = weave_look([nothing], Look(noon - hour, is_bad=True), Datapoints(), hour, nothing)
    >>> [each.is_open for each in late]
    [True, False]
    """
    known = [
        each
        if each.is_open is not None
        else _settle(each, is_open=bool(before.is_open), few=before.holds_few)
        for each in looks
    ]
    place = bisect_right([each.at for each in known], look.at)
    if not place and len(known) > patience.remembered:
        return None
    woven = known[:place]
    for each in (look, *known[place:]):
        woven.append(_judge(each, woven or ([] if known else [before]), patience))
    recent = sum(each.at >= woven[-1].at - reach for each in woven)
    return tuple(woven[-min(max(recent, _FEWEST_LATE), _MOST_LATE) - patience.remembered :])


def _judge(look: Look, earlier: Sequence[Look], patience: Datapoints) -> Look:
    was_open, held = (bool(earlier[-1].is_open), earlier[-1].holds_few) if earlier else (False, False)
    flags = [*_list_flags(earlier), look.is_bad]
    if not was_open:
        is_open = patience.opens(flags)
        return _settle(look, is_open=is_open, few=is_open and bool(look.is_few))
    held = held if look.is_few is None else look.is_few
    is_open = held or not patience.clears(flags)
    return _settle(look, is_open=is_open, few=held)


def _list_flags(looks: Sequence[Look]) -> list[bool]:
    """Whether those since the last episode were bad: another must be bad anew as often as the first time."""
    ends = [n for n in range(1, len(looks)) if looks[n - 1].is_open and not looks[n].is_open]
    return [each.is_bad for each in looks[ends[-1] + 1 if ends else 0 :]]


def _settle(look: Look, *, is_open: bool, few: bool) -> Look:
    return msgspec.structs.replace(look, is_open=is_open, holds_few=few)
