"""What a run changes: findings raised, held and cleared, one a monitor kind and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from sagewatch.datapoints import Datapoints
from sagewatch.finding import Finding
from sagewatch.place import Place
from sagewatch.quality.violations import ROWS, Violation
from sagewatch.report.episode import (
    JOB_FAILED,
    build_episode,
    continue_episode,
    extend_episode,
    shorten,
)
from sagewatch.report.failure import Failure
from sagewatch.report.rows import RowHistory, is_alike, judge_rows
from sagewatch.report.run import Run
from sagewatch.report.schedule import Judged, Look, ScheduleState, add_look, get_place, remember_job

KINDS = ("data-quality", "model-quality", "bias", "attribution", JOB_FAILED)
# A run that is further behind than so many of its windows is no slow one: somebody looks at the past.
MOST_BEHIND: Final = 2
_AT_ONCE = Datapoints()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judge_run(
    run: Run,
    outcome: Sequence[Violation] | Failure,
    state: ScheduleState,
    place: Place,
    patience: Datapoints = _AT_ONCE,
    rows: int | None = None,
    every: timedelta | None = None,
) -> Judged:
    """Fold one run into what is known of its schedule.

    Parameters
    ----------
    outcome
        The violations of a run that completed, or why it failed.
    patience
        How many runs must find violations before that is told. That a job failed is told at once.
    rows
        How many rows the run saw; None where its report does not tell.
    every
        The length of the schedule's own windows; None where it is not known. A window of another length was looked at
        by hand: what is found in it is told, but its rows are no measure, and its failure is seen by who started it.

    A run of an older window than the latest changes nothing that is newer: what it found is told, and what it did not
    find is over, where no later run says otherwise.
    """
    is_own = every is None or _is_own(run, every)
    # Its event may come again, whatever comes of it: a run is counted once.
    is_new = run.job not in state.judged
    seen = msgspec.structs.replace(state, judged=remember_job(run.job, state.judged))
    if not is_new and run.job != state.last_job:
        judged = _pass(seen, "judged_before")
    elif not _is_older(run, state):
        judged = _judge_latest(run, outcome, seen, place, patience, rows, is_own=is_own)
    elif is_own and is_new and not run.merge and not isinstance(outcome, Failure):
        judged = _judge_late(run, outcome, seen, place, patience, rows)
    else:
        judged = _pass(seen, "failed_late" if isinstance(outcome, Failure) else "older_run")
    return msgspec.structs.replace(judged, is_new=is_new)


def _judge_latest(
    run: Run,
    outcome: Sequence[Violation] | Failure,
    state: ScheduleState,
    place: Place,
    patience: Datapoints,
    rows: int | None,
    *,
    is_own: bool,
) -> Judged:
    """A run of the latest window."""
    if not is_own and isinstance(outcome, Failure):
        return _pass(state, "failed_by_hand")
    if run.merge and not isinstance(outcome, Failure):
        return _pass(state, "merge_went_well")
    reported = outcome
    outcome, history = _look_at_rows(run, outcome, state, rows if is_own else None)
    saw_rows = is_own and rows is not None and _sees_rows(run, state)
    open_, looks, cleared = dict(state.open), dict(state.looks), dict(state.cleared)
    told: list[Finding] = []
    broken = build_episode(run, outcome, place)
    if not isinstance(outcome, Failure) and run.job != state.last_job:
        look = Look(get_place(run), broken is not None)
        looks[run.kind] = (*looks.get(run.kind, ()), look)[-patience.remembered :]
    for kind in (run.kind, JOB_FAILED):
        before = open_.get(kind)
        recent = [look.is_bad for look in looks.get(kind, ())]
        if broken is not None and broken.kind == kind:
            if before is None and kind != JOB_FAILED and not patience.opens(recent):
                continue
            now = continue_episode(before, broken, () if saw_rows else (ROWS,)) if before else broken
            open_[kind] = shorten(now)
            told.append(now)
        elif before is not None and not (kind == run.kind and isinstance(outcome, Failure)):
            # A run that failed says nothing of the data: what was found before it still holds.
            if not _is_over(before, recent, patience, saw_rows=saw_rows):
                continue
            told.append(msgspec.structs.replace(before, cleared_at=run.ended_at))
            del open_[kind]
            looks[kind] = ()  # it must be bad anew as often as the first time
            cleared[kind] = get_place(run)
    has_window = is_own and run.end is not None
    after = msgspec.structs.replace(
        state,
        last_job=run.job,
        last_ended_at=run.ended_at,
        last_end=run.end if has_window else state.last_end,
        last_end_job=run.job if has_window else state.last_end_job,
        last_due=run.due or state.last_due,
        open=open_,
        looks=looks,
        cleared=cleared,
        rows=history,
    )
    reason = "failed" if isinstance(outcome, Failure) else "violations" if broken else "no_violations"
    return Judged(after, tuple(told), reason, collapsed=outcome is not reported)


def _judge_late(
    run: Run,
    outcome: Sequence[Violation],
    state: ScheduleState,
    place: Place,
    patience: Datapoints,
    rows: int | None,
) -> Judged:
    """A run that was slower than that of a later window: it may add to what is known, and undoes nothing newer."""
    cleared = state.cleared.get(run.kind)
    if _is_past(run, state) or (cleared is not None and get_place(run) <= cleared):
        return _pass(state, "older_run")
    reported = outcome
    seen, history = _look_at_rows(run, outcome, state, rows)
    broken = build_episode(run, seen, place)
    look = Look(get_place(run), broken is not None)
    looks = add_look(state.looks.get(run.kind, ()), look, patience.remembered)
    flags = [each.is_bad for each in looks]
    before = state.open.get(run.kind)
    now = None
    if broken is not None:
        now = extend_episode(before, broken) if before else broken if patience.opens(flags) else None
    elif (
        before is not None
        and before.window.end < look.at
        and _is_over(before, flags, patience, saw_rows=rows is not None and _sees_rows(run, state))
    ):
        return _clear_late(run, before, msgspec.structs.replace(state, rows=history))
    after = msgspec.structs.replace(
        state,
        looks={**state.looks, run.kind: looks},
        open={**state.open, run.kind: shorten(now)} if now else state.open,
        rows=history,
    )
    told = (now,) if now is not None and now != before else ()
    return Judged(after, told, "late_violations" if now else "older_run", collapsed=seen is not reported)


def _clear_late(run: Run, before: Finding, state: ScheduleState) -> Judged:
    """What was found in an older window is over: no later run looked, and this one found nothing."""
    after = msgspec.structs.replace(
        state,
        looks={**state.looks, run.kind: ()},
        cleared={**state.cleared, run.kind: get_place(run)},
        open={kind: finding for kind, finding in state.open.items() if kind != run.kind},
    )
    return Judged(after, (msgspec.structs.replace(before, cleared_at=run.ended_at),), "late_and_clean")


def _pass(state: ScheduleState, reason: str) -> Judged:
    return Judged(state, (), reason)


def _is_past(run: Run, state: ScheduleState) -> bool:
    """Whether its window is so old that no run of it would end only now."""
    if run.start is None or run.end is None or state.last_end is None:
        return False
    return state.last_end - run.end > MOST_BEHIND * (run.end - run.start)


def _is_over(before: Finding, recent: Sequence[bool], patience: Datapoints, *, saw_rows: bool) -> bool:
    if before.kind == JOB_FAILED:
        return True
    if not saw_rows and ROWS in before.counts:
        return False  # how few they were was not looked at
    return patience.clears(recent)


def _sees_rows(run: Run, state: ScheduleState) -> bool:
    return is_alike(_measure_window(run), state.rows)


def _measure_window(run: Run) -> timedelta | None:
    return run.end - run.start if run.start is not None and run.end is not None else None


def _is_own(run: Run, every: timedelta) -> bool:
    """Whether the window is one that the schedule looks at (``choose_span``), and not one that somebody made up."""
    if run.start is None or run.end is None:
        return True
    return run.end - run.start == every and not (run.end - _EPOCH) % every and run.end <= run.ended_at


def _is_older(run: Run, state: ScheduleState) -> bool:
    """Whether newer traffic was judged already: that counts, and not when somebody had it looked at."""
    due, last_due = run.due, state.last_due
    if due is not None and last_due is not None and due < last_due:
        return True
    if run.end is not None and state.last_end is not None and run.end != state.last_end:
        return run.end < state.last_end
    if due is not None and last_due is not None and due != last_due:
        return False
    return state.last_ended_at is not None and run.ended_at < state.last_ended_at


def _look_at_rows(
    run: Run, outcome: Sequence[Violation] | Failure, state: ScheduleState, rows: int | None
) -> tuple[Sequence[Violation] | Failure, RowHistory]:
    if rows is None or isinstance(outcome, Failure):
        return outcome, state.rows
    collapse, history = judge_rows(rows, run.ended_at, state.rows, _measure_window(run))
    if run.job == state.last_job:
        history = state.rows  # told again: the run is in there
    return ([*outcome, collapse] if collapse is not None else outcome), history
