"""What is known of one schedule of monitoring jobs, and what a run of it changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from sagewatch.finding import Finding
from sagewatch.report.looks import Look
from sagewatch.report.rows import RowHistory
from sagewatch.report.run import Run

# So long does the tick look back for executions without a job, and an event comes again at most for a day.
_REMEMBERED: Final = timedelta(days=2)
# Hourly runs of two jobs each; and a schedule's shortest windows, of five minutes.
_FEWEST_JOBS: Final = 100
_MOST_JOBS: Final = 600


class ScheduleState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one schedule.

    Attributes
    ----------
    last_job, last_ended_at
        The run that was judged last, of those that were not older than another.
    judged
        The latest jobs whose event came, late ones too: an event may come again.
    last_end, last_end_job
        End of the latest window of the schedule's own that was judged, and the job that did; runs of older windows undo
        nothing that is newer, however late they end.
    last_due
        When the latest run of SageMaker's own schedule was due: what orders those whose windows nobody knows.
    open
        Findings that hold, by kind.
    looks
        By kind, the latest runs that looked at the data, in the order of their windows.
    found
        By kind, what the latest of those that found something did find: it may be told later.
    rows, other_rows
        How many rows the runs of a week saw: on windows of the latest run's length, and of other ones.
    owed
        What the latest run changed, until the bus was told: those of one run, at most one of each kind.
    """

    schedule: str
    last_job: str = ""
    judged: tuple[str, ...] = ()
    last_ended_at: datetime | None = None
    last_end: datetime | None = None
    last_end_job: str = ""
    last_due: datetime | None = None
    open: dict[str, Finding] = {}
    looks: dict[str, tuple[Look, ...]] = {}
    found: dict[str, Finding] = {}
    rows: RowHistory = RowHistory()
    other_rows: tuple[RowHistory, ...] = ()
    owed: tuple[Finding, ...] = ()
    version: int = 0


class Judged(msgspec.Struct, frozen=True):
    """The state after a run, and the findings to publish.

    ``collapsed`` is true where the run's rows were far fewer than such runs' are: one more violation than its report has.
    ``is_new`` is false where the run was judged before, and the event came again.
    """

    state: ScheduleState
    findings: tuple[Finding, ...]
    reason: str
    collapsed: bool = False
    is_new: bool = True


def end_unjudged(state: ScheduleState, now: datetime) -> ScheduleState:
    """The state after nobody looks any more: what it found is owed an end, which says nothing of the data."""
    ends = (
        msgspec.structs.replace(one, cleared_at=max(now, one.raised_at), no_longer_judged=True)
        for one in state.open.values()
    )
    return msgspec.structs.replace(state, open={}, owed=(*state.owed, *ends))


def get_place(run: Run) -> datetime:
    """Where a run stands among the others: by the end of its window; where it had none by when it was due, or ended."""
    return run.end or run.due or run.ended_at


def remember_job(job: str, jobs: Sequence[str], length: timedelta | None = None) -> tuple[str, ...]:
    """The jobs of two days with one more, by the length of their windows; one that is known changes nothing."""
    if job in jobs:
        return tuple(jobs)
    number = int(_REMEMBERED / length) if length else 0
    return (*jobs, job)[-min(max(number, _FEWEST_JOBS), _MOST_JOBS) :]
