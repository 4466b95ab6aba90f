"""What happened to an incident, as the bus is told."""

from __future__ import annotations

from sagewatch.events import IncidentChanged
from sagewatch.incident.model import Incident


def build_change(incident: Incident, change: str) -> IncidentChanged:
    """The fact that an incident changed, for the bus."""
    return IncidentChanged(
        change=change,
        incident_id=incident.incident_id,
        fingerprint=incident.fingerprint,
        account=incident.account,
        region=incident.region,
        endpoint=incident.endpoint,
        variant=incident.variant,
        kind=incident.kind,
        subject=incident.subject,
        severity=incident.severity,
    )
