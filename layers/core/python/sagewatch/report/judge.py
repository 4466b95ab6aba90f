"""What a run changes: findings raised, held and cleared, one a monitor kind and schedule.

One finding a schedule, not one a feature: sixty features that drift together are one thing to be woken for;
the features stand in its counts and on the page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.datapoints import Datapoints
from sagewatch.finding import (
    DetectorRef,
    Evidence,
    Finding,
    Severity,
    Stream,
    Window,
    build_content_key,
    build_fingerprint,
)
from sagewatch.place import Place
from sagewatch.quality.violations import ROWS, Violation
from sagewatch.report.failure import Failure
from sagewatch.report.rows import RowHistory, judge_rows
from sagewatch.report.run import Run

JOB_FAILED = "job-failed"
KINDS = ("data-quality", "model-quality", "bias", "attribution", JOB_FAILED)
COUNTS_KEPT = 20
MANY = 10
VERSION = "1"
_AT_ONCE = Datapoints()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScheduleState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one schedule.

    Attributes
    ----------
    last_job, last_ended_at
        The run that was judged last.
    last_end
        End of the latest window of the schedule's own that was judged; runs of older windows change nothing, however
        late somebody starts them.
    open
        Findings that hold, by kind.
    recent
        By kind, whether each of the latest runs that looked at the data found violations.
    rows
        How many rows the latest runs saw.
    """

    schedule: str
    last_job: str = ""
    last_ended_at: datetime | None = None
    last_end: datetime | None = None
    open: dict[str, Finding] = {}
    recent: dict[str, tuple[bool, ...]] = {}
    rows: RowHistory = RowHistory()
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
    """
    if _is_older(run, state):
        return Judged(state, (), "older_run")
    is_own = every is None or _is_own(run, every)
    if not is_own and isinstance(outcome, Failure):
        return Judged(state, (), "failed_by_hand")
    if run.merge and not isinstance(outcome, Failure):
        return Judged(state, (), "merge_went_well")
    reported = outcome
    outcome, history = _look_at_rows(run, outcome, state, rows if is_own else None)
    open_ = dict(state.open)
    told: list[Finding] = []
    broken = _build(run, outcome, place)
    recent = dict(state.recent)
    if not isinstance(outcome, Failure) and run.job != state.last_job:
        recent[run.kind] = (*recent.get(run.kind, ()), broken is not None)[-patience.remembered :]
    for kind in (run.kind, JOB_FAILED):
        before = open_.get(kind)
        if broken is not None and broken.kind == kind:
            if before is None and kind != JOB_FAILED and not patience.opens(recent.get(kind, ())):
                continue
            now = _continue(before, broken) if before else broken
            open_[kind] = _shorten(now)
            told.append(now)
        elif before is not None and not (kind == run.kind and isinstance(outcome, Failure)):
            # A run that failed says nothing of the data: what was found before it still holds.
            if not _is_over(before, recent.get(kind, ()), patience, is_own=is_own):
                continue
            told.append(msgspec.structs.replace(before, cleared_at=run.ended_at))
            del open_[kind]
            recent[kind] = ()  # it must be bad anew as often as the first time
    after = msgspec.structs.replace(
        state,
        last_job=run.job,
        last_ended_at=run.ended_at,
        last_end=run.end if is_own and run.end is not None else state.last_end,
        open=open_,
        recent=recent,
        rows=history,
    )
    return Judged(
        after,
        tuple(told),
        "violations" if broken else "no_violations",
        collapsed=outcome is not reported,
        is_new=run.job != state.last_job,
    )


def _is_over(before: Finding, recent: tuple[bool, ...], patience: Datapoints, *, is_own: bool) -> bool:
    if before.kind == JOB_FAILED:
        return True
    if not is_own and ROWS in before.counts:
        return False  # how few they were was not looked at
    return patience.clears(recent)


def _is_own(run: Run, every: timedelta) -> bool:
    """Whether the window is one that the schedule looks at (``choose_span``), and not one that somebody made up."""
    if run.start is None or run.end is None:
        return True
    return run.end - run.start == every and not (run.end - _EPOCH) % every and run.end <= run.ended_at


def _is_older(run: Run, state: ScheduleState) -> bool:
    """Whether newer traffic was judged already: that counts, and not when somebody had it looked at."""
    if run.end is not None and state.last_end is not None and run.end != state.last_end:
        return run.end < state.last_end
    return state.last_ended_at is not None and run.ended_at < state.last_ended_at


def _look_at_rows(
    run: Run, outcome: Sequence[Violation] | Failure, state: ScheduleState, rows: int | None
) -> tuple[Sequence[Violation] | Failure, RowHistory]:
    if rows is None or isinstance(outcome, Failure):
        return outcome, state.rows
    collapse, history = judge_rows(rows, run.ended_at, state.rows)
    if run.job == state.last_job:
        history = state.rows  # told again: the run is in there
    return ([*outcome, collapse] if collapse is not None else outcome), history


def _build(run: Run, outcome: Sequence[Violation] | Failure, place: Place) -> Finding | None:
    if isinstance(outcome, Failure):
        return _build_finding(run, JOB_FAILED, {outcome.code: 1}, Severity.WARNING, 1, place)
    if not outcome:
        return None
    counts = dict(Counter(violation.subject for violation in outcome).most_common(COUNTS_KEPT))
    severity = Severity.CRITICAL if len(outcome) >= MANY or run.kind == "model-quality" else Severity.WARNING
    return _build_finding(run, run.kind, counts, severity, len(outcome), place)


def _build_finding(
    run: Run, kind: str, counts: dict[str, int], severity: Severity, number: int, place: Place
) -> Finding:
    fingerprint = build_fingerprint(Stream(run.endpoint, run.variant), kind, run.schedule)
    return Finding(
        finding_id=build_content_key(fingerprint, run.job),
        fingerprint=fingerprint,
        account=place.account,
        region=place.region,
        endpoint=run.endpoint,
        variant=run.variant,
        kind=kind,
        subject=run.schedule,
        severity=severity,
        evidence=Evidence(
            float(number), 0.0, math.log10(number), float(number), "violations", float(number), 0.0
        ),
        window=Window(run.start or run.ended_at, run.end or run.ended_at, 0),
        source=run.report_uri or run.job,
        detector=DetectorRef("monitoring-job", VERSION, build_content_key(run.schedule)),
        raised_at=run.ended_at,
        counts=counts,
    )


def _continue(before: Finding, now: Finding) -> Finding:
    """The same episode goes on: its name and its beginning stay."""
    worst = max(before.severity, now.severity, key=lambda severity: severity.rank)
    window = Window(before.window.start, max(before.window.end, now.window.end), 0)
    return msgspec.structs.replace(
        now, finding_id=before.finding_id, raised_at=before.raised_at, window=window, severity=worst
    )


def _shorten(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, samples=())
