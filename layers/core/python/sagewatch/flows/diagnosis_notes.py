"""What a diagnosis leaves behind for people: an entry of its trail, the stage on its incident, a fact on the bus."""

from __future__ import annotations

from datetime import datetime

from sagewatch.diagnose.model import Diagnosis
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.incident_changes import build_change, build_diagnosis_change
from sagewatch.incident.acts import note_progress
from sagewatch.incident.decision import Ignore
from sagewatch.incident.model import Entry, Progress
from sagewatch.world import World

BY = "advance_diagnosis"


def build_entry(diagnosis: Diagnosis, reason: str, world: World) -> Entry:
    """The trail's entry of the phase that the diagnosis is in."""
    data: dict[str, str | int | float | bool | None] = {"recorded": diagnosis.recorded}
    return Entry(at=world.now(), what=f"diagnosis_{diagnosis.phase}", reason=reason, by=BY, data=data)


def build_progress(diagnosis: Diagnosis, reason: str, at: datetime, explained: int = 0) -> Progress:
    """The stage as the incident shows it, and whether the endpoint was touched."""
    touched = diagnosis.mode != "replay"
    return Progress(diagnosis.phase.value, reason, at, explained, touched)


def note_stage(incident_id: str, progress: Progress, world: World) -> None:
    """Write the stage on the incident, unless another worker is further and tells of that."""

    def attempt() -> None:
        incident = world.state.load_incident(incident_id)
        record = world.state.load_open(incident.fingerprint) if incident else None
        made = world.state.load_diagnosis_of(incident_id)
        if incident is None or record is None or progress.stage != (made.phase.value if made else "off"):
            return  # another worker is further, and tells of that
        decision = note_progress(incident, record, progress, by=BY)
        if isinstance(decision, Ignore):
            return
        world.state.save_incident(decision.incident, decision.record, decision.entries)
        world.bus.publish([build_change(decision.incident, "updated")], world.now())

    retry_conflicts(attempt)


def tell_change(diagnosis: Diagnosis, change: str, world: World) -> None:
    """Publish a ``DiagnosisChanged`` fact."""
    fact = build_diagnosis_change(diagnosis, change, world.place)
    world.bus.publish([fact], world.now())
