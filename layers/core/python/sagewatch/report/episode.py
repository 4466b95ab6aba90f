"""The finding that a run's outcome makes: one a monitor kind and schedule.

One finding a schedule, not one a feature: sixty features that drift together are one thing to be woken for;
the features stand in its counts and on the page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

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
from sagewatch.quality.violations import Violation
from sagewatch.report.failure import Failure
from sagewatch.report.run import Run

JOB_FAILED = "job-failed"
COUNTS_KEPT = 20
MANY = 10
VERSION = "1"


def build_episode(run: Run, outcome: Sequence[Violation] | Failure, place: Place) -> Finding | None:
    """The finding of an outcome; None where nothing is violated."""
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


def continue_episode(before: Finding, now: Finding, unseen: Sequence[str] = ()) -> Finding:
    """The same episode goes on: its name and its beginning stay, and of what the run did not look at, the counts."""
    worst = max(before.severity, now.severity, key=lambda severity: severity.rank)
    window = Window(before.window.start, max(before.window.end, now.window.end), 0)
    counts = {name: number for name, number in before.counts.items() if name in unseen} | now.counts
    return msgspec.structs.replace(
        now,
        finding_id=before.finding_id,
        raised_at=before.raised_at,
        window=window,
        severity=worst,
        counts=counts,
    )


def extend_episode(before: Finding, late: Finding) -> Finding:
    """The episode began earlier than was known: what is told of it stays that of the later windows."""
    start = min(before.window.start, late.window.start)
    worst = max(before.severity, late.severity, key=lambda severity: severity.rank)
    return msgspec.structs.replace(
        before, window=msgspec.structs.replace(before.window, start=start), severity=worst
    )


def shorten(finding: Finding) -> Finding:
    """What is kept of it between runs."""
    return msgspec.structs.replace(finding, samples=())
