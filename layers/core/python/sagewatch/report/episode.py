"""The finding that a run's outcome makes: one a monitor kind and schedule.

One finding a schedule, not one a feature: sixty features that drift together are one thing to be woken for;
the features stand in its counts and on the page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from sagewatch.finding import (
    Breach,
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
from sagewatch.quality.violations import NEGATIVE, Violation
from sagewatch.report.failure import Failure
from sagewatch.report.run import Run

JOB_FAILED = "job-failed"
COUNTS_KEPT = 20
BREACHES_KEPT = 5
MANY = 10
VERSION = "1"
LONGEST_NAME = 256
_NAME_SHOWN = 200


def build_episode(run: Run, outcome: Sequence[Violation] | Failure, place: Place) -> Finding | None:
    """The finding of an outcome; None where nothing is violated."""
    if isinstance(outcome, Failure):
        return _build_finding(run, JOB_FAILED, {outcome.code: 1}, Severity.WARNING, 1, place)
    if not outcome:
        return None
    counts = dict(Counter(shorten_name(violation.subject) for violation in outcome).most_common(COUNTS_KEPT))
    severity = Severity.CRITICAL if len(outcome) >= MANY or run.kind == "model-quality" else Severity.WARNING
    finding = _build_finding(run, run.kind, counts, severity, len(outcome), place)
    return msgspec.structs.replace(
        finding, breaches=tuple(build_breach(violation) for violation in outcome[:BREACHES_KEPT])
    )


def build_breach(violation: Violation) -> Breach:
    """A violation as one line of a message: what, by which check, how far; never a value of the traffic's own.

    Examples
    --------
    >>> build_breach(Violation(feature_name="age", constraint_check_type="baseline_drift_check",
    ...     description="Baseline drift distance: 0.5 exceeds threshold: 0.1"))
    Breach(subject='age', constraint='baseline_drift_check', observed=0.5, limit=0.1)
    """
    observed, limit = violation.numbers
    evidence = violation.evidence
    if limit is None and evidence is not UNSET:
        # Of negative values the evidence names the least: it was somebody's. Their share says how bad it is.
        is_value = violation.constraint_check_type == NEGATIVE
        observed, limit = (
            (evidence.effect_size, 0.0) if is_value else (evidence.statistic, evidence.threshold)
        )
    return Breach(
        subject=shorten_name(violation.subject),
        constraint=shorten_name(violation.constraint_check_type),
        observed=_keep_finite(observed),
        limit=_keep_finite(limit),
    )


def _keep_finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def shorten_name(name: str) -> str:
    """The name itself, or what one begins with that is none: data name columns, and a finding is 256 KB at the most.

    Examples
    --------
    >>> shorten_name("age"), len(shorten_name("x" * 300_000))
    ('age', 236)
    """
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:_NAME_SHOWN]}… ({len(name)} letters, {build_content_key(name)})"


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
        job=run.job if run.has_job else "",
    )


def continue_episode(before: Finding, now: Finding, unseen: Sequence[str] = ()) -> Finding:
    """The same episode goes on: its name and its beginning stay, and of what the run did not look at, the counts."""
    worst = max(before.severity, now.severity, key=lambda severity: severity.rank)
    window = Window(before.window.start, max(before.window.end, now.window.end), 0)
    counts = {name: number for name, number in before.counts.items() if name in unseen} | now.counts
    breaches = (*(one for one in before.breaches if one.subject in unseen), *now.breaches)[:BREACHES_KEPT]
    return msgspec.structs.replace(
        now,
        finding_id=before.finding_id,
        raised_at=before.raised_at,
        window=window,
        severity=worst,
        counts=counts,
        breaches=breaches,
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
