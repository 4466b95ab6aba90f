"""Open incidents whose diagnosis never began: the word of their opening was lost, or lies in a dead-letter queue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from sagewatch.diagnose.machine import UPDATING
from sagewatch.events import DiagnosisChanged
from sagewatch.flows.incident_changes import build_diagnosis_change
from sagewatch.incident.doing import DIAGNOSABLE
from sagewatch.incident.model import Incident, State
from sagewatch.state.incidents import Listed
from sagewatch.world import World

OWED_AFTER: Final = timedelta(minutes=3)
"""Until then the word is under way: the queue delivers again what failed."""
OWED_FOR: Final = timedelta(hours=6)
"""An incident that opened longer ago is another day's traffic."""


def list_candidates(world: World) -> Iterator[Listed]:
    """Open incidents whose diagnosis may have been forgotten."""
    allowed = {name for name, watched in world.monitors.endpoints.items() if watched.diagnosis.mode != "off"}
    if not allowed:
        return
    now = world.now()
    for row in world.state.list_incidents(now - OWED_FOR):
        waits = row.state is not State.RESOLVED and row.opened_at <= now - OWED_AFTER
        if waits and row.endpoint in allowed and row.kind in DIAGNOSABLE:
            yield row


def find_owed(row: Listed, world: World) -> DiagnosisChanged | None:
    """What wakes the diagnosis that an incident is owed, or None; asking twice begins one."""
    incident = world.state.load_incident(row.incident_id)
    if incident is None or not is_owed(incident, world):
        return None
    return build_diagnosis_change(incident, "due", world.place)


def is_owed(incident: Incident, world: World) -> bool:
    """Whether nobody has yet decided for or against a diagnosis: a refusal is noted in the incident, with its reason.

    An endpoint that was being updated when somebody asked by hand is no such decision.
    """
    undecided = incident.diagnosis is None or incident.diagnosis.reason == UPDATING
    return undecided and may_begin(incident, world)


def may_begin(incident: Incident, world: World) -> bool:
    """Whether it is of a kind that is diagnosed, still open, and was never diagnosed.

    The lease may be another incident's by now; archives replay, and nothing is diagnosed twice.
    """
    return (
        incident.kind in DIAGNOSABLE
        and incident.state is not State.RESOLVED
        and world.state.load_diagnosis_of(incident.incident_id) is None
    )
