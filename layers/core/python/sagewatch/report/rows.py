"""Whether a run saw far fewer rows than such runs do: no analyzer knows, for each sees one window alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from sagewatch.quality.violations import Violation, build_row_violation

# A tenth of the smallest window of late is no quiet night: the nights are among them.
FEWEST: Final = 0.1
LONGEST: Final = 168
_FEWEST_RUNS: Final = 3
_WHOLE_DAY: Final = timedelta(days=1)


class RowHistory(msgspec.Struct, frozen=True):
    """Rows of the latest runs of a schedule.

    Attributes
    ----------
    rows
        Of runs whose number of rows was as usual, the oldest first.
    since
        When the first of all was; None before any.
    collapsed
        How many runs in a row had far fewer.
    """

    rows: tuple[int, ...] = ()
    since: datetime | None = None
    collapsed: int = 0


def judge_rows(rows: int, ended_at: datetime, history: RowHistory) -> tuple[Violation | None, RowHistory]:
    """The violation, if the rows collapsed, and the history with this run in it.

    A day of runs is learned before anything is said. What has lasted for as many runs as were learned from is the new
    usual.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 11, 21, tzinfo=UTC)
    >>> usual = RowHistory((900, 40, 1000), start)
    >>> judge_rows(3, start + timedelta(days=1), usual)[0].numbers
    (3.0, 4.0)
    >>> judge_rows(5, start + timedelta(days=1), usual)[0] is None
    True
    """
    since = history.since or ended_at
    expected = min(history.rows, default=0)
    is_known = len(history.rows) >= _FEWEST_RUNS and ended_at - since >= _WHOLE_DAY
    if not is_known or rows >= FEWEST * expected:
        return None, RowHistory((*history.rows, rows)[-LONGEST:], since)
    if history.collapsed >= len(history.rows):
        return None, RowHistory((rows,), ended_at)
    found = build_row_violation(rows, expected, FEWEST)
    return found, msgspec.structs.replace(history, collapsed=history.collapsed + 1)
