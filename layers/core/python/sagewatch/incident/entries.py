"""The lines that an incident's life leaves in its audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.incident.model import BY, Entry, Incident, State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sagewatch.finding import Finding

FELL_BACK = "evidence_fell_back"
NO_LONGER_JUDGED = "no_longer_judged"
_FIRST = (
    "finding_raised", "incident_opened", "severity_rose", "acknowledgement_lapsed", "finding_cleared", "incident_resolved",
    "incident_acknowledged", "incident_promoted", "incident_silenced", "silence_ended",
)  # fmt: skip


def order_entries(entries: Iterable[Entry]) -> list[Entry]:
    """The trail in order of time; what bears one time, cause before effect.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 11, 21, tzinfo=UTC)
    >>> told = order_entries([build_resolved(at), Entry(at, "finding_cleared", "evidence_fell_back", "d")])
    >>> [one.what for one in told]
    ['finding_cleared', 'incident_resolved']
    """
    return sorted(entries, key=lambda one: (one.at, _rank(one.what), one.what))


def _rank(what: str) -> int:
    """What follows from the incident stands behind it: first what is done about it, then who was told."""
    if what in _FIRST:
        return _FIRST.index(what)
    return len(_FIRST) + (0 if what.startswith("diagnosis_") else 1)


def build_raised(finding: Finding, reason: str, *, at: datetime) -> Entry:
    """A detector spoke."""
    return Entry(
        at=at,
        what="finding_raised",
        reason=reason,
        by=finding.detector.name,
        data={
            "finding_id": finding.finding_id,
            "log10_excess": finding.evidence.log10_excess,
            "predictions": finding.window.predictions,
            "source": finding.source,
        },
    )


def build_rise(before: Incident, after: Incident, reason: str, now: datetime) -> list[Entry]:
    """An incident got worse, and perhaps worse than who looks after it knows; empty where it did not."""
    if after.severity is before.severity:
        return []
    severity = {"severity": after.severity.value}
    entries = [Entry(at=now, what="severity_rose", reason=reason, by=BY, data={**severity})]
    if before.state is State.ACKNOWLEDGED:
        why = f"{before.acknowledged_by} had acknowledged it as {before.severity.value}"
        entries.append(
            Entry(at=now, what="acknowledgement_lapsed", reason="got_worse", by=BY, data={"why": why})
        )
    return entries


def build_opening(finding: Finding, now: datetime, reason: str = "new_incident") -> tuple[Entry, Entry]:
    """A detector spoke, and an incident was opened for it."""
    return (
        build_raised(finding, "threshold_crossed", at=finding.raised_at),
        Entry(at=now, what="incident_opened", reason=reason, by=BY),
    )


def find_cause(incident: Incident, by_evidence: str = FELL_BACK) -> str:
    """Why an incident ends that no person ended, as a reason code."""
    return NO_LONGER_JUDGED if incident.no_longer_judged else by_evidence


def build_cleared(finding: Finding, cleared_at: datetime) -> Entry:
    """The evidence of a finding fell back, or nothing judges it any more."""
    return Entry(
        at=cleared_at,
        what="finding_cleared",
        reason=NO_LONGER_JUDGED if finding.no_longer_judged else FELL_BACK,
        by=finding.detector.name,
        data={"finding_id": finding.finding_id},
    )


def build_resolved(cleared_at: datetime, reason: str = FELL_BACK) -> Entry:
    """The last finding of an incident was cleared."""
    return Entry(at=cleared_at, what="incident_resolved", reason=reason, by=BY)
