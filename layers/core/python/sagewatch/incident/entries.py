"""The lines that an incident's life leaves in its audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.incident.model import Entry

if TYPE_CHECKING:
    from datetime import datetime

    from sagewatch.finding import Finding

BY = "manage_incident"
"""Who acts where no person does."""


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


def build_opening(finding: Finding, now: datetime) -> tuple[Entry, Entry]:
    """A detector spoke, and an incident was opened for it."""
    return (
        build_raised(finding, "threshold_crossed", at=finding.raised_at),
        Entry(at=now, what="incident_opened", reason="new_incident", by=BY),
    )


def build_cleared(finding: Finding, cleared_at: datetime) -> Entry:
    """The evidence of a finding fell back."""
    return Entry(
        at=cleared_at,
        what="finding_cleared",
        reason="evidence_fell_back",
        by=finding.detector.name,
        data={"finding_id": finding.finding_id},
    )


def build_resolved(cleared_at: datetime) -> Entry:
    """The last finding of an incident was cleared."""
    return Entry(at=cleared_at, what="incident_resolved", reason="evidence_fell_back", by=BY)
