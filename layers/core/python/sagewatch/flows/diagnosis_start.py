"""Whether an incident's diagnosis begins: the lease taken, or the reason why not, written down once."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.commands import Refuse, Step
from sagewatch.diagnose.machine import UPDATING, decide_start
from sagewatch.diagnose.model import Seen
from sagewatch.diagnose.plan import find_variant, plan_diagnosis
from sagewatch.errors import RejectedInputError
from sagewatch.flows.diagnosis_end import finish
from sagewatch.flows.diagnosis_notes import BY, build_progress, note_stage, tell_change
from sagewatch.flows.diagnosis_sight import find_stop, get_policy
from sagewatch.flows.owed_diagnoses import may_begin
from sagewatch.flows.quiet import find_reason_to_wait
from sagewatch.incident.model import Entry, Incident, Progress
from sagewatch.observability import get_logger
from sagewatch.world import World


def begin(incident_id: str, world: World, *, by_hand: bool = False) -> None:
    """Take the lease, or note why not. Who asks by hand need not wait for a cooldown; all else holds for them too."""
    if world.state.load_diagnosis_of(incident_id) is not None:
        return  # begun long ago: what it does next waits for no look at the incident
    incident = world.state.load_incident(incident_id)
    if incident is None or not may_begin(incident, world):
        return
    mute = find_reason_to_wait(incident, world)
    step = Refuse(f"incident_is_{mute.reason}") if mute else _decide_begin(incident, world, by_hand=by_hand)
    if step == Refuse(UPDATING) and not by_hand:
        # Not decided: the tick asks again each minute for hours (owed_diagnoses).
        _note_waiting(incident, world)
        return
    if isinstance(step, Refuse):
        _note_refusal(incident, step.reason, world)
        return
    # Whoever has to put it back by hand, by night, finds where to in `sagewatch explain`.
    data: dict[str, str | int | float | bool | None] = {"original_config": step.diagnosis.original_config}
    entry = Entry(
        at=step.diagnosis.started_at, what="diagnosis_started", reason=step.reason, by=BY, data=data
    )
    diagnosis = world.state.save_diagnosis(step.diagnosis, [entry])
    note_stage(incident_id, build_progress(diagnosis, step.reason, diagnosis.started_at), world)
    tell_change(diagnosis, "started", world)


def _decide_begin(incident: Incident, world: World, *, by_hand: bool) -> Step | Refuse:
    policy, now, hosting = get_policy(incident.endpoint, world), world.now(), world.hosting
    if policy.mode == "off":
        return Refuse("mode_is_off")
    lease = world.state.load_diagnosis(incident.endpoint)
    if lease is not None and not lease.phase.over:
        return Refuse("endpoint_is_leased")  # before a look at what it made of the endpoint
    if lease is not None and not lease.told:
        lease = finish(lease, world)  # or nobody ever would: the lease is about to be another's
    if lease is not None and by_hand:
        lease = msgspec.structs.replace(lease, cooldown_until=None)
    endpoint = hosting.describe_endpoint(incident.endpoint)
    if endpoint is None:
        return Refuse("endpoint_is_gone")
    config = hosting.describe_endpoint_config(endpoint["EndpointConfigName"])
    if config is None:
        return Refuse("config_is_gone")
    try:
        variant = find_variant(config, incident.variant, where=f"endpoint {incident.endpoint}")
        model = hosting.describe_model(variant["ModelName"])
        if model is None:
            return Refuse("model_is_gone")
        wanted = plan_diagnosis(
            incident.incident_id, incident.variant, incident.subject, endpoint, config, model, policy, now
        )
    except RejectedInputError as error:
        _note_impossible(incident, error, world)
        return Refuse("endpoint_cannot_be_hooked")
    seen = Seen(wanted.original_config, endpoint["EndpointStatus"], stop=find_stop(wanted, world))
    return decide_start(lease, wanted, seen, policy, now)


def _note_refusal(incident: Incident, reason: str, world: World) -> None:
    """Why there is no diagnosis; once, however often it is asked for."""
    known = incident.diagnosis
    if known is None or (known.stage, known.reason) != ("off", reason):
        note_stage(incident.incident_id, Progress(stage="off", reason=reason, at=world.now()), world)


def _note_waiting(incident: Incident, world: World) -> None:
    entry = Entry(at=incident.opened_at, what="diagnosis_waits", reason=UPDATING, by=BY)
    world.state.add_entries(incident.incident_id, [entry])


def _note_impossible(incident: Incident, error: RejectedInputError, world: World) -> None:
    get_logger().warning("diagnosis_impossible", reason=error.reason, endpoint=incident.endpoint)
    data: dict[str, str | int | float | bool | None] = {"why": str(error)}
    entry = Entry(
        at=incident.opened_at,
        what="diagnosis_impossible",
        reason="endpoint_cannot_be_hooked",
        by=BY,
        data=data,
    )
    world.state.add_entries(incident.incident_id, [entry])
