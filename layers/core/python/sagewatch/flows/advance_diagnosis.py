"""One diagnosis, one step further: look at the world, decide, claim, act; until there is nothing to do.

Whatever woke us says only where to look. A step is claimed by a conditional write and then carried out;
what a crash leaves undone is seen and done by the next wake-up, the minute's tick at the latest.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.diagnose.afterwards import may_be_unfinished
from sagewatch.diagnose.commands import Command, Refuse, Step, UpdateEndpoint
from sagewatch.diagnose.machine import MOVING, UPDATING, decide_next, decide_refused, decide_start
from sagewatch.diagnose.model import Diagnosis, Phase, Seen
from sagewatch.diagnose.plan import JOB_PREFIX, find_variant, plan_diagnosis
from sagewatch.diagnose.way_back import WAYS, is_way_back, note_held_up
from sagewatch.errors import ConflictError, DeclinedError, RefusedError, RejectedInputError, RetryError
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
from sagewatch.flows.diagnosis_commands import apply_command
from sagewatch.flows.diagnosis_cost import note_cost
from sagewatch.flows.diagnosis_sight import find_stop, get_policy, look
from sagewatch.flows.incident_changes import build_change, build_diagnosis_change
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.owed_diagnoses import may_begin
from sagewatch.flows.quiet import find_reason_to_wait
from sagewatch.flows.recorded_requests import link_requests
from sagewatch.flows.saliency_files import digest_report, load_report
from sagewatch.incident.acts import note_progress
from sagewatch.incident.decision import Ignore
from sagewatch.incident.doing import WAY_BACK_REFUSED
from sagewatch.incident.model import Entry, Incident, Progress
from sagewatch.observability import get_logger
from sagewatch.world import World

BY = "advance_diagnosis"
ENDINGS = 8
"""How often cost, links and page are tried before an end is told without them: the alert writes its page again."""
_STEPS_AT_ONCE = 12  # more than a diagnosis has; a bound against a loop that a wrong table would make


def advance_diagnosis(fact: Fact, world: World) -> None:
    """Begin the diagnosis of an opened incident, or take a running one further; or what somebody asks of it."""
    if isinstance(fact, ActionRequested):
        _do_as_asked(fact, world)
        return
    if isinstance(fact, IncidentChanged | DiagnosisChanged) and fact.change in {"opened", "due"}:
        retry_conflicts(lambda: _begin(fact.incident_id, world))
    endpoint = _find_endpoint(fact, world)
    if endpoint is not None:
        retry_conflicts(lambda: advance_endpoint(endpoint, world))


def _do_as_asked(fact: ActionRequested, world: World) -> None:
    if fact.action == "diagnose":
        note_wish(fact, world)
        retry_conflicts(lambda: _begin(fact.incident_id, world, by_hand=True))
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
            _finish(diagnosis, world)
            return
        step = decide_next(diagnosis, look(diagnosis, world), get_policy(endpoint, world), world.now())
        if step.waits:
            return
        claimed = _claim(diagnosis, step, world)
        _carry_out(diagnosis, claimed, step, world)


def _begin(incident_id: str, world: World, *, by_hand: bool = False) -> None:
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
    _note(incident_id, _build_progress(diagnosis, step.reason, diagnosis.started_at), world)
    _tell(diagnosis, "started", world)


def _decide_begin(incident: Incident, world: World, *, by_hand: bool) -> Step | Refuse:
    policy, now, hosting = get_policy(incident.endpoint, world), world.now(), world.hosting
    if policy.mode == "off":
        return Refuse("mode_is_off")
    lease = world.state.load_diagnosis(incident.endpoint)
    if lease is not None and not lease.phase.over:
        return Refuse("endpoint_is_leased")  # before a look at what it made of the endpoint
    if lease is not None and not lease.told:
        lease = _finish(lease, world)  # or nobody ever would: the lease is about to be another's
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
        _note(incident.incident_id, Progress(stage="off", reason=reason, at=world.now()), world)


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


def _claim(before: Diagnosis, step: Step, world: World) -> Diagnosis:
    # A wait changes nothing of what is held up: whose the way back was is told by it.
    waits_on = not step.commands and step.diagnosis.phase is before.phase
    after = msgspec.structs.replace(step.diagnosis, held_up=before.held_up if waits_on else "")
    is_news = bool(step.commands) or after.phase is not before.phase or after.due != before.due
    # What was held up was written down when it was first asked for.
    entries = [_build_entry(after, step.reason, world)] if is_news and not before.held_up else []
    get_logger().info(
        "diagnosis_step",
        endpoint=before.endpoint,
        incident_id=before.incident_id,
        decision=after.phase.value,
        reason=step.reason,
    )
    return world.state.save_diagnosis(after, entries)


def _carry_out(before: Diagnosis, claimed: Diagnosis, step: Step, world: World) -> None:
    for command in step.commands:
        try:
            apply_command(command, claimed, world)
        except RefusedError as error:
            _take_refusal(before, claimed, command, error, world)
            return
        except ConflictError:
            raise  # decided on what is no longer so: look again; the claim stands, as after a crash
        except RetryError as error:
            if not _has_left(command, claimed, world):
                _give_back(before, claimed, command, error, world)
                raise
    if claimed.phase is Phase.SWAPPING and any(isinstance(one, UpdateEndpoint) for one in step.commands):
        claimed = msgspec.structs.replace(claimed, asked=(claimed.asked or 0) + 1)
        claimed = world.state.save_diagnosis(claimed, [])
    if claimed.phase.over or (claimed.phase is before.phase and claimed.due == before.due):
        return
    stage = _build_progress(claimed, step.reason, world.now())
    _note(claimed.incident_id, stage, world)


def _has_left(command: Command, claimed: Diagnosis, world: World) -> bool:
    """Whether the endpoint is on its way back although the call for it failed: AWS took it, and its answer was lost.

    The SDK may have asked again meanwhile, and have been told that the endpoint is updating: that is no refusal.
    """
    if not is_way_back(command, claimed):
        return False
    try:
        endpoint = world.hosting.describe_endpoint(claimed.endpoint) or {}
    except RetryError:
        return False
    return (
        endpoint.get("EndpointStatus") in MOVING
        or endpoint.get("EndpointConfigName") != claimed.hooked_config
    )


def _give_back(
    before: Diagnosis, claimed: Diagnosis, command: Command, error: RetryError, world: World
) -> None:
    """Undo the claim: nothing was done that the next attempt would not do again."""
    policy, declined = get_policy(before.endpoint, world), isinstance(error, DeclinedError)
    waiting = note_held_up(before, command, error.reason, policy, world.now(), declined=declined)
    waiting = msgspec.structs.replace(waiting, version=claimed.version)
    if before.refused < WAYS <= waiting.refused:
        # Each way once: the endpoint records on, and perhaps only a person can mend that (a right that is gone).
        _note(claimed.incident_id, _build_progress(claimed, WAY_BACK_REFUSED, world.now()), world)
    entries = []
    # Of a way back that is refused each way is told of once.
    if before.held_up != waiting.held_up or before.refused < waiting.refused <= WAYS:
        entry = _build_entry(waiting, waiting.held_up, world)
        what = "diagnosis_way_back_refused" if waiting.refused > before.refused else "diagnosis_held_up"
        said: dict[str, str | int | float | bool | None] = {"original_config": before.original_config}
        if isinstance(error, DeclinedError) and error.message:
            said["why"] = error.message
        entries = [msgspec.structs.replace(entry, what=what, data=entry.data | said)]
    world.state.save_diagnosis(waiting, entries)


def _take_refusal(
    before: Diagnosis, claimed: Diagnosis, command: Command, error: RefusedError, world: World
) -> None:
    get_logger().warning(
        "diagnosis_refused", endpoint=claimed.endpoint, reason=error.code, operation=error.operation
    )
    step = decide_refused(claimed, command, get_policy(claimed.endpoint, world), world.now())
    if step is None:
        declined = DeclinedError(error.code, error.message)
        _give_back(before, claimed, command, declined, world)
        raise declined from error
    entry = _build_entry(claimed, step.reason, world)
    data: dict[str, str | int | float | bool | None] = {"operation": error.operation, "why": error.message}
    refused = msgspec.structs.replace(entry, what="diagnosis_refused", data=data)
    entries = [refused]
    if step.diagnosis.phase is not claimed.phase:
        entries.append(_build_entry(step.diagnosis, step.reason, world))
    world.state.save_diagnosis(step.diagnosis, entries)


def _build_entry(diagnosis: Diagnosis, reason: str, world: World) -> Entry:
    data: dict[str, str | int | float | bool | None] = {"recorded": diagnosis.recorded}
    return Entry(at=world.now(), what=f"diagnosis_{diagnosis.phase}", reason=reason, by=BY, data=data)


def _build_progress(diagnosis: Diagnosis, reason: str, at: datetime, explained: int = 0) -> Progress:
    touched = diagnosis.mode != "replay"
    return Progress(diagnosis.phase.value, reason, at, explained, touched)


def _finish(diagnosis: Diagnosis, world: World) -> Diagnosis:
    """Tell the end: progress, page, bus; and only then write down that it was told."""
    at = diagnosis.finished_at or world.now()
    report = load_report(diagnosis.incident_id, world)
    stage = _build_progress(diagnosis, diagnosis.outcome, at, len(report.get("images", [])))
    tries = diagnosis.endings < ENDINGS
    if tries:
        diagnosis = _count_ending(diagnosis, world)
        note_cost(diagnosis, BY, world)
        link_requests(diagnosis, report, world)
    else:
        # Each was begun and cut short, by a kill or an error; or done, and crossed before it was told.
        get_logger().warning("diagnosis_told_as_it_is", incident_id=diagnosis.incident_id, count=ENDINGS)
    _note(diagnosis.incident_id, stage, world)
    if tries:
        write_page(diagnosis.incident_id, world)
    _tell(diagnosis, "abandoned" if diagnosis.phase is Phase.ABANDONED else "finished", world)
    digest = diagnosis.report_digest
    if digest is None:
        digest = digest_report(diagnosis.incident_id, world)
    return world.state.save_diagnosis(msgspec.structs.replace(diagnosis, told=True, report_digest=digest), [])


def _count_ending(diagnosis: Diagnosis, world: World) -> Diagnosis:
    """Claimed before it is tried: what kills the function (its memory, its time) must not keep the lease for ever."""
    return world.state.save_diagnosis(msgspec.structs.replace(diagnosis, endings=diagnosis.endings + 1), [])


def _note(incident_id: str, progress: Progress, world: World) -> None:
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


def _tell(diagnosis: Diagnosis, change: str, world: World) -> None:
    fact = build_diagnosis_change(diagnosis, change, world.place)
    world.bus.publish([fact], world.now())


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
