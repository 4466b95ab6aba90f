"""Whether a run saw far fewer rows than such runs do: no analyzer knows, for each sees one window alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
# Of five minutes to a day no nine lengths are unlike each other.
_MOST_LENGTHS: Final = 9


class Day(msgspec.Struct, frozen=True):
    """The fewest rows that a run of a day saw."""

    day: date
    fewest: int


class RowHistory(msgspec.Struct, frozen=True):
    """Rows of a schedule's runs of late, on windows of one length, however often it runs: of a day the fewest tell.

    Attributes
    ----------
    days
        Of a week, the days with runs whose number of rows was as usual, in order.
    runs
        How many those were in all.
    first
        When the first of all was; None before any.
    length
        Of the first of their windows: a longer window has more rows. None where they are not known.
    few_since, few_last
        When the first and the last of the runs were that had far fewer, without a whole day of others, or a pause of
        four, between; None where there are none.
    few, others
        How many runs since then had far fewer, and how many had not.
    usual_last
        When the latest run was that had not far fewer than was known to be usual; None before any.
    """

    days: tuple[Day, ...] = ()
    runs: int = 0
    first: datetime | None = None
    length: timedelta | None = None
    few_since: datetime | None = None
    few_last: datetime | None = None
    few: int = 0
    others: int = 0
    usual_last: datetime | None = None

    @property
    def is_few(self) -> bool:
        """Whether the latest run of those that could tell had far fewer rows."""
        return self.few_last is not None and (self.usual_last is None or self.few_last >= self.usual_last)


class JudgedRows(msgspec.Struct, frozen=True):
    """What a run's rows say, and the histories with it in them, that of its window's length first.

    ``is_few`` is None where the run cannot tell whether a collapse is over: what is usual for such windows is not known,
    or the last run on windows of another length had far fewer.
    """

    violation: Violation | None
    is_few: bool | None
    histories: tuple[RowHistory, ...]


def judge_rows(
    rows: int, at: datetime, histories: Sequence[RowHistory], length: timedelta | None = None
) -> JudgedRows:
    """What the rows of a window say beside those of windows of about its length.

    A day of runs is learned before anything is said, of each length by itself: windows up to twice as long or short are
    compared by the hour, and no others. What has lasted for as long as was learned, or a week, and was more than half of
    all runs, is the new usual. Another length without any run for a week is forgotten.

    Parameters
    ----------
    at
        When the window ended.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 11, 21, tzinfo=UTC)
    >>> usual = [RowHistory((Day(start.date(), 40),), 3, start)]
    >>> judge_rows(3, start + timedelta(days=1), usual).violation.numbers
    (3.0, 4.0)
    >>> judge_rows(5, start + timedelta(days=1), usual).is_few
    False
    """
    known = [each for each in histories if each.runs]
    alike = [each for each in known if _is_alike(length, each)]
    mine = min(alike, key=lambda each: _measure_distance(length, each), default=RowHistory(length=length))
    violation, judged = _judge_one(rows, at, mine, length)
    others = [each for each in known if each is not mine and at.date() - _get_last_day(each) <= _WEEK]
    cannot_tell = judged.usual_last is None or any(each.is_few for each in others)
    is_few = True if violation is not None else None if cannot_tell else False
    return JudgedRows(violation, is_few, (judged, *others)[:_MOST_LENGTHS])


def _judge_one(
    rows: int, at: datetime, history: RowHistory, length: timedelta | None
) -> tuple[Violation | None, RowHistory]:
    share = length / history.length if length and history.length else 1.0
    expected = min((day.fewest for day in history.days), default=0) * share
    if not _is_known(at, history):
        return None, _add_run(_count(rows / share), at, history)
    if rows >= FEWEST * expected:
        return None, _note_usual(at, _add_run(_count(rows / share), at, history))
    history = _add_few(at, history)
    if _is_usual(at, history):
        # So it is from now on: a day of it is learned before anything else is said.
        return None, _note_usual(at, _add_run(rows, at, RowHistory(length=length)))
    return build_row_violation(rows, _count(expected), FEWEST), history


def _is_alike(length: timedelta | None, history: RowHistory) -> bool:
    """Whether the rows of such a window say anything beside those of the history; of SageMaker's some are shorter."""
    if length == history.length:
        return True
    return bool(length and history.length) and _measure_distance(length, history) <= math.log(_ALIKE)


def _measure_distance(length: timedelta | None, history: RowHistory) -> float:
    return abs(math.log(length / history.length)) if length and history.length else 0.0


def _get_last_day(history: RowHistory) -> date:
    """The day of its latest run, whatever that saw."""
    told = [each.date() for each in (history.few_last, history.usual_last) if each is not None]
    return max([*told, *(each.day for each in history.days)], default=date.min)


def _is_known(at: datetime, history: RowHistory) -> bool:
    return history.runs >= _FEWEST_RUNS and history.first is not None and at - history.first >= _WHOLE_DAY


def _add_few(at: datetime, history: RowHistory) -> RowHistory:
    since, last = history.few_since, history.few_last
    few, others = history.few, history.others
    if since is None or last is None or at - last > _PAUSE:
        since, few, others = at, 0, 0
    elif at - since >= _WEEK and few < others:
        since, few, others = at, 0, 0  # some windows of a week, no new usual: the next week is another
    last = max(at, last or at)
    return msgspec.structs.replace(history, few_since=since, few_last=last, few=few + 1, others=others)


def _note_usual(at: datetime, history: RowHistory) -> RowHistory:
    return msgspec.structs.replace(history, usual_last=max(at, history.usual_last or at))


def _is_usual(at: datetime, history: RowHistory) -> bool:
    since, first = history.few_since, history.first
    if since is None or first is None:
        return False
    return at - since >= min(since - first, _WEEK) and history.few > history.others


def _add_run(rows: int, at: datetime, history: RowHistory) -> RowHistory:
    fewest = {each.day: each.fewest for each in history.days}
    today = at.date()
    fewest[today] = min(rows, fewest.get(today, rows))
    goes_on = history.few_last is not None and at - history.few_last < _WHOLE_DAY
    after = max(fewest) - _WEEK
    return msgspec.structs.replace(
        history,
        days=tuple(Day(day, fewest[day]) for day in sorted(fewest) if day >= after),
        runs=history.runs + 1,
        first=min(at, history.first or at),
        few_since=history.few_since if goes_on else None,
        others=history.others + 1,
    )


def _count(rows: float) -> int:
    return max(1, round(rows))
