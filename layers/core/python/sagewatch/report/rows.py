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
# Without any run for so long, what was few before is another matter; a weekend without traffic is no such pause.
_PAUSE: Final = timedelta(days=4)
# Windows are alike up to twice as long: every 5 hours, SageMaker's last of a day has 4.
_ALIKE: Final = 2


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
        Of their windows: a longer window has more rows. None where they are not known.
    few_since, few_last
        When the first and the last of the runs were that had far fewer, without a whole day of others, or a pause of
        four, between; None where there are none.
    few, others
        How many runs since then had far fewer, and how many had not.
    other
        Of windows of quite another length, as many as came since the last of this one: they may be the new ones.
    """

    days: tuple[Day, ...] = ()
    runs: int = 0
    first: datetime | None = None
    length: timedelta | None = None
    few_since: datetime | None = None
    few_last: datetime | None = None
    few: int = 0
    others: int = 0
    other: RowHistory | None = None


def is_alike(length: timedelta | None, history: RowHistory) -> bool:
    """Whether the rows of such a window say anything beside those of the history; of SageMaker's some are shorter."""
    if not history.runs or length == history.length:
        return True
    if not length or not history.length:
        return False
    return 1 / _ALIKE <= length / history.length <= _ALIKE


def judge_rows(
    rows: int, ended_at: datetime, history: RowHistory, length: timedelta | None = None
) -> tuple[Violation | None, RowHistory]:
    """The violation, if the rows collapsed, and the history with this run in it.

    A day of runs is learned before anything is said. Windows of about the same length are compared by the hour; those
    of another (``is_alike``) are passed over, until a day of them came and none of the others. What has lasted for as
    long as was learned, or a week, and was more than half of all runs, is the new usual.

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
    if not is_alike(length, history):
        return None, _pass_over(rows, ended_at, history, length)
    if not history.runs:
        history = RowHistory(length=length)
    history = msgspec.structs.replace(history, other=None)
    share = length / history.length if length and history.length else 1.0
    expected = min((day.fewest for day in history.days), default=0) * share
    if not _is_known(ended_at, history) or rows >= FEWEST * expected:
        return None, _add_run(_count(rows / share), ended_at, history)
    history = _add_few(ended_at, history)
    if _is_usual(ended_at, history):
        return None, _add_run(rows, ended_at, RowHistory(length=length))
    return build_row_violation(rows, _count(expected), FEWEST), history


def _is_known(ended_at: datetime, history: RowHistory) -> bool:
    return (
        history.runs >= _FEWEST_RUNS and history.first is not None and ended_at - history.first >= _WHOLE_DAY
    )


def _pass_over(rows: int, ended_at: datetime, history: RowHistory, length: timedelta | None) -> RowHistory:
    other = history.other
    if other is None or not is_alike(length, other):
        other = RowHistory(length=length)
    share = length / other.length if length and other.length else 1.0
    other = _add_run(_count(rows / share), ended_at, other)
    return other if _is_known(ended_at, other) else msgspec.structs.replace(history, other=other)


def _add_few(ended_at: datetime, history: RowHistory) -> RowHistory:
    since, last = history.few_since, history.few_last
    few, others = history.few, history.others
    if since is None or last is None or ended_at - last > _PAUSE:
        since, few, others = ended_at, 0, 0
    elif ended_at - since >= _WEEK and few < others:
        since, few, others = ended_at, 0, 0  # some windows of a week, no new usual: the next week is another
    return msgspec.structs.replace(history, few_since=since, few_last=ended_at, few=few + 1, others=others)


def _is_usual(ended_at: datetime, history: RowHistory) -> bool:
    since, first = history.few_since, history.first
    if since is None or first is None:
        return False
    return ended_at - since >= min(since - first, _WEEK) and history.few > history.others


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
        others=history.others + 1,
    )


def _count(rows: float) -> int:
    return max(1, round(rows))
