"""What a run changes: findings raised, held and cleared, one a monitor kind and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.datapoints import Datapoints
from sagewatch.finding import Finding, build_content_key
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
from sagewatch.report.looks import SLOWEST, Look, measure_reach, weave_look
from sagewatch.report.rows import judge_rows
from sagewatch.report.run import Run
from sagewatch.report.schedule import Judged, ScheduleState, get_place, remember_job

KINDS = ("data-quality", "model-quality", "bias", "attribution", JOB_FAILED)
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
    seen = msgspec.structs.replace(
        state, judged=remember_job(run.job, state.judged, every or _measure_window(run))
    )
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
    if isinstance(outcome, Failure):
        # It says nothing of the data: what was found before it still holds.
        failed, before = build_episode(run, outcome, place), state.open.get(JOB_FAILED)
        if before is not None and failed is not None:
            failed = continue_episode(before, failed)
        judged = _open(JOB_FAILED, failed, state, "failed")
    else:
        at = get_place(run) if is_own else _find_place(run, state, is_bad=bool(outcome))
        judged = _look(run, outcome, state, place, patience, rows if is_own else None, at)
        if JOB_FAILED in state.open:
            ended = _end(JOB_FAILED, run, judged.state, judged.reason)
            judged = msgspec.structs.replace(
                judged, state=ended.state, findings=(*judged.findings, *ended.findings)
            )
    has_window = is_own and run.end is not None
    after = msgspec.structs.replace(
        judged.state,
        last_job=run.job,
        last_ended_at=run.ended_at,
        last_end=run.end if has_window else state.last_end,
        last_end_job=run.job if has_window else state.last_end_job,
        last_due=run.due or state.last_due,
    )
    return msgspec.structs.replace(judged, state=after)


def _judge_late(
    run: Run,
    outcome: Sequence[Violation],
    state: ScheduleState,
    place: Place,
    patience: Datapoints,
    rows: int | None,
) -> Judged:
    """A run that was slower than that of a later window: it may add to what is known, and undoes nothing newer."""
    if _is_past(run, state):
        return _pass(state, "older_run")
    judged = _look(run, outcome, state, place, patience, rows, get_place(run))
    reason = "older_run"
    if judged.findings:
        reason = "late_and_clean" if judged.findings[0].cleared_at else "late_violations"
    return msgspec.structs.replace(judged, reason=reason)


def _look(
    run: Run,
    violations: Sequence[Violation],
    state: ScheduleState,
    place: Place,
    patience: Datapoints,
    rows: int | None,
    at: datetime,
) -> Judged:
    """What a run's look at the data changes, at its place among the others."""
    before, looks = state.open.get(run.kind), state.looks.get(run.kind, ())
    is_known = run.job == state.last_job and any(each.at == at for each in looks)
    is_few, after = None, state
    found = list(violations)
    if rows is not None:
        judged = judge_rows(rows, at, (state.rows, *state.other_rows), _measure_window(run))
        is_few = judged.is_few
        found += [judged.violation] if judged.violation is not None else []
        if not is_known:  # else it is told again: the run is in there
            first, *others = judged.histories
            after = msgspec.structs.replace(state, rows=first, other_rows=tuple(others))
    collapsed = len(found) > len(violations)
    broken = build_episode(run, found, place)
    if not is_known:
        now = Look(at, bool(found), is_few)
        stands = Look(at, is_bad=False, is_open=before is not None, holds_few=_has_few(before))
        woven = weave_look(looks, now, patience, measure_reach(_measure_window(run)), stands)
        if woven is None:
            return _pass(state, "older_run")
        looks = woven
        after = msgspec.structs.replace(after, looks={**state.looks, run.kind: looks})
    is_newest = not any(each.is_bad and each.at > at for each in looks)
    if broken is not None and is_newest:
        after = msgspec.structs.replace(after, found={**state.found, run.kind: shorten(broken)})
    reason = "violations" if broken else "no_violations"
    result = Judged(after, (), reason)
    if not looks[-1].is_open:
        result = _end(run.kind, run, after, reason) if before is not None else result
    elif before is None:
        result = _open(run.kind, _begin(run, broken, after), after, reason)
    elif broken is not None:
        episode = (
            continue_episode(before, broken, () if is_few is not None else (ROWS,))
            if is_newest
            else extend_episode(before, broken)
        )
        # Told again where it is news: a slow run is none that changes nothing.
        result = _open(run.kind, episode, after, reason) if is_newest or episode != before else result
    return msgspec.structs.replace(result, collapsed=collapsed)


def _begin(run: Run, broken: Finding | None, state: ScheduleState) -> Finding | None:
    """The finding of an episode that this run makes one: of the latest window that found something, under a name of its own."""
    latest = state.found.get(run.kind)
    if latest is None:
        return broken
    name = build_content_key(latest.fingerprint, run.job)
    begun = msgspec.structs.replace(latest, finding_id=name, raised_at=run.ended_at)
    return extend_episode(begun, broken) if broken is not None else begun


def _open(kind: str, finding: Finding | None, state: ScheduleState, reason: str) -> Judged:
    if finding is None:
        return _pass(state, reason)
    after = msgspec.structs.replace(state, open={**state.open, kind: shorten(finding)})
    return Judged(after, (finding,), reason)


def _end(kind: str, run: Run, state: ScheduleState, reason: str) -> Judged:
    open_ = state.open[kind]
    ended = msgspec.structs.replace(open_, cleared_at=max(run.ended_at, open_.raised_at))
    after = {name: finding for name, finding in state.open.items() if name != kind}
    return Judged(msgspec.structs.replace(state, open=after), (ended,), reason)


def _find_place(run: Run, state: ScheduleState, *, is_bad: bool) -> datetime:
    """Where a look by hand stands: behind all that was judged, and before the schedule's own run on the window that goes on.

    A clean one also before an own run that is slow: a few minutes without violations do not answer for an hour.
    """
    start = run.start or get_place(run)
    judged = [look.at for look in state.looks.get(run.kind, ())]
    judged += [state.last_end] if state.last_end is not None else []
    judged += [start] if is_bad else []
    return max(judged, default=start - SLOWEST)


def _has_few(finding: Finding | None) -> bool:
    return finding is not None and ROWS in finding.counts


def _pass(state: ScheduleState, reason: str) -> Judged:
    return Judged(state, (), reason)


def _is_past(run: Run, state: ScheduleState) -> bool:
    """Whether its window is so old that no run of it would end only now."""
    if run.end is None or state.last_end is None:
        return False
    return state.last_end - run.end > measure_reach(_measure_window(run))


def _measure_window(run: Run) -> timedelta | None:
    if run.start is None or run.end is None or run.end <= run.start:
        return None
    return run.end - run.start


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
