"""One diagnosis, one step further: look at the world, decide, claim, act; until there is nothing to do.

Whatever woke us says only where to look. A step is claimed by a conditional write and then carried out;
what a crash leaves undone is seen and done by the next wake-up, the minute's tick at the latest.
"""

from __future__ import annotations

from sagewatch.diagnose.afterwards import may_be_unfinished
from sagewatch.diagnose.machine import decide_next
from sagewatch.diagnose.plan import JOB_PREFIX
from sagewatch.events import (
    ActionRequested,
    DiagnosisChanged,
    EndpointChanged,
    Fact,
    IncidentChanged,
    JobChanged,
    TensorsLanded,
)
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.diagnosis_by_hand import ask_to_stop, note_wish
from sagewatch.flows.diagnosis_end import finish
from sagewatch.flows.diagnosis_sight import get_policy, look
from sagewatch.flows.diagnosis_start import begin
from sagewatch.flows.diagnosis_step import carry_out, claim
from sagewatch.world import World

_STEPS_AT_ONCE = 12  # more than a diagnosis has; a bound against a loop that a wrong table would make


def advance_diagnosis(fact: Fact, world: World) -> None:
    """Begin the diagnosis of an opened incident, or take a running one further; or what somebody asks of it."""
    if isinstance(fact, ActionRequested):
        _do_as_asked(fact, world)
        return
    if isinstance(fact, IncidentChanged | DiagnosisChanged) and fact.change in {"opened", "due"}:
        retry_conflicts(lambda: begin(fact.incident_id, world))
    endpoint = _find_endpoint(fact, world)
    if endpoint is not None:
        retry_conflicts(lambda: advance_endpoint(endpoint, world))


def _do_as_asked(fact: ActionRequested, world: World) -> None:
    if fact.action == "diagnose":
        note_wish(fact, world)
        retry_conflicts(lambda: begin(fact.incident_id, world, by_hand=True))
        asked = world.state.load_diagnosis_of(fact.incident_id)
        endpoint = asked.endpoint if asked else None
    elif fact.action == "restore":
        endpoint = retry_conflicts(lambda: ask_to_stop(fact, world))
    else:
        return  # the incident's business
    if endpoint is not None:
        retry_conflicts(lambda: advance_endpoint(endpoint, world))


def advance_endpoint(endpoint: str, world: World) -> None:
    """Take the endpoint's running diagnosis as far as it will go now; nothing to do is fine."""
    for _ in range(_STEPS_AT_ONCE):
        diagnosis = world.state.load_diagnosis(endpoint)
        if diagnosis is None or not may_be_unfinished(diagnosis):
            return
        if diagnosis.phase.over and not diagnosis.told:
            finish(diagnosis, world)
            return
        step = decide_next(diagnosis, look(diagnosis, world), get_policy(endpoint, world), world.now())
        if step.waits:
            return
        claimed = claim(diagnosis, step, world)
        carry_out(diagnosis, claimed, step, world)


def _find_endpoint(fact: Fact, world: World) -> str | None:
    if isinstance(fact, IncidentChanged | DiagnosisChanged):
        return fact.endpoint
    if isinstance(fact, EndpointChanged):
        return world.name_endpoint(fact.endpoint, fact.place)
    if isinstance(fact, TensorsLanded):
        incident_id = fact.incident_id
    elif isinstance(fact, JobChanged) and fact.job.startswith(JOB_PREFIX):
        incident_id = fact.job.removeprefix(JOB_PREFIX)
    else:
        return None
    diagnosis = world.state.load_diagnosis_of(incident_id)
    return diagnosis.endpoint if diagnosis else None
