"""Whether a run saw far fewer rows than such runs do: no analyzer knows, for each sees one window alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from sagewatch.quality.violations import Violation, build_row_violation

# A tenth of the smallest window of late is no quiet night: the nights are among them.
FEWEST: Final = 0.1
_FEWEST_RUNS: Final = 3
_WHOLE_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


class Day(msgspec.Struct, frozen=True):
    """The fewest rows that a run of a day saw."""

    day: date
    fewest: int


class RowHistory(msgspec.Struct, frozen=True):
    """Rows of a schedule's runs of late, however often it runs: of a day the fewest tell.

    Attributes
    ----------
    days
        Of a week, the days with runs whose number of rows was as usual, in order.
    runs
        How many those were in all.
    first
        When the first of all was; None before any.
    length
        Of their windows: a longer window has more rows.
    few_since, few_last
        When the first and the last of the runs were that had far fewer, without a whole day of others between; None
        where there are none. Fewer by night alone, every night, is a new usual too.
    """

    days: tuple[Day, ...] = ()
    runs: int = 0
    first: datetime | None = None
    length: timedelta | None = None
    few_since: datetime | None = None
    few_last: datetime | None = None


def judge_rows(
    rows: int, ended_at: datetime, history: RowHistory, length: timedelta | None = None
) -> tuple[Violation | None, RowHistory]:
    """The violation, if the rows collapsed, and the history with this run in it.

    A day of runs is learned before anything is said, and anew where the windows' length changes. What has lasted for as
    long as was learned, or a week, is the new usual.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 11, 21, tzinfo=UTC)
    >>> usual = RowHistory((Day(start.date(), 40),), 3, start)
    >>> judge_rows(3, start + timedelta(days=1), usual)[0].numbers
    (3.0, 4.0)
    >>> judge_rows(5, start + timedelta(days=1), usual)[0] is None
    True
    """
    if length != history.length:
        history = RowHistory(length=length)
    first = history.first or ended_at
    expected = min((day.fewest for day in history.days), default=0)
    is_known = history.runs >= _FEWEST_RUNS and ended_at - first >= _WHOLE_DAY
    if not is_known or rows >= FEWEST * expected:
        return None, _add_run(rows, ended_at, history)
    few_since = history.few_since or ended_at
    if ended_at - few_since >= min(few_since - first, _WEEK):
        return None, _add_run(rows, ended_at, RowHistory(length=length))
    found = build_row_violation(rows, expected, FEWEST)
    return found, msgspec.structs.replace(history, few_since=few_since, few_last=ended_at)


def _add_run(rows: int, ended_at: datetime, history: RowHistory) -> RowHistory:
    fewest = {each.day: each.fewest for each in history.days}
    today = ended_at.date()
    fewest[today] = min(rows, fewest.get(today, rows))
    goes_on = history.few_last is not None and ended_at - history.few_last < _WHOLE_DAY
    after = max(fewest) - _WEEK
    return msgspec.structs.replace(
        history,
        days=tuple(Day(day, fewest[day]) for day in sorted(fewest) if day >= after),
        runs=history.runs + 1,
        first=history.first or ended_at,
        few_since=history.few_since if goes_on else None,
    )
