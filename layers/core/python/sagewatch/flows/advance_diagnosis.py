"""One diagnosis, one step further: look at the world, decide, claim, act; until there is nothing to do.

Whatever woke us says only where to look. A step is claimed by a conditional write and then carried out;
what a crash leaves undone is seen and done by the next wake-up, the minute's tick at the latest.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from sagewatch.diagnose.machine import (
    Command,
    DeleteHooked,
    EnsureHooked,
    Refuse,
    StartJob,
    Step,
    UpdateEndpoint,
    decide_next,
    decide_start,
)
from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen
from sagewatch.diagnose.plan import (
    JOB_PREFIX,
    JobPlan,
    build_explain_job,
    build_hooked_config,
    build_hooked_model,
    plan_diagnosis,
)
from sagewatch.errors import RejectedInputError, RetryError
from sagewatch.events import (
    DiagnosisChanged,
    EndpointChanged,
    Fact,
    IncidentChanged,
    JobChanged,
    TensorsLanded,
)
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.evidence import count_explained, write_classes, write_configs, write_page
from sagewatch.flows.manage_incident import build_change
from sagewatch.incident.decision import Ignore
from sagewatch.incident.lifecycle import note_progress
from sagewatch.incident.model import Entry, Incident, Progress, State
from sagewatch.observability import get_logger
from sagewatch.world import World

BY = "advance_diagnosis"
DIAGNOSABLE = frozenset({"class-concentration", "fixed-share", "confidence"})
_STEPS_AT_ONCE = 8  # more than a diagnosis has; a bound against a loop that a wrong table would make


def advance_diagnosis(fact: Fact, world: World) -> None:
    """Begin the diagnosis of an opened incident, or take a running one further."""
    if isinstance(fact, IncidentChanged) and fact.change == "opened":
        retry_conflicts(lambda: _begin(fact.incident_id, world))
    endpoint = _find_endpoint(fact, world)
    if endpoint is not None:
        retry_conflicts(lambda: advance_endpoint(endpoint, world))


def advance_endpoint(endpoint: str, world: World) -> None:
    """Take the endpoint's running diagnosis as far as it will go now; nothing to do is fine."""
    for _ in range(_STEPS_AT_ONCE):
        diagnosis = world.state.load_diagnosis(endpoint)
        if diagnosis is None or diagnosis.told:
            return
        if diagnosis.phase.over:
            _finish(diagnosis, world)
            return
        step = decide_next(diagnosis, _look(diagnosis, world), get_policy(endpoint, world), world.now())
        if step.waits:
            return
        claimed = _claim(diagnosis, step, world)
        _carry_out(diagnosis, claimed, step, world)


def get_policy(endpoint: str, world: World) -> Policy:
    """What the endpoint's owner allows now; an endpoint that is no longer listed is only cleaned up."""
    watched = world.monitors.endpoints.get(endpoint)
    return watched.diagnosis if watched else Policy(mode="off")


def _begin(incident_id: str, world: World) -> None:
    incident = world.state.load_incident(incident_id)
    if incident is None or incident.kind not in DIAGNOSABLE or incident.state is State.RESOLVED:
        return
    step = _decide_begin(incident, world)
    if isinstance(step, Refuse):
        if step.reason != "already_diagnosed":
            _note(incident_id, Progress(stage="off", reason=step.reason, at=incident.opened_at), world)
        return
    entry = Entry(at=step.diagnosis.started_at, what="diagnosis_started", reason=step.reason, by=BY)
    diagnosis = world.state.save_diagnosis(step.diagnosis, [entry])
    _tell(diagnosis, "started", world)


def _decide_begin(incident: Incident, world: World) -> Step | Refuse:
    policy, now = get_policy(incident.endpoint, world), world.now()
    endpoint = world.hosting.describe_endpoint(incident.endpoint)
    if endpoint is None:
        return Refuse("endpoint_is_gone")
    config = world.hosting.describe_endpoint_config(endpoint["EndpointConfigName"])
    lease = world.state.load_diagnosis(incident.endpoint)
    if config is None:
        return Refuse("config_is_gone")
    try:
        wanted = plan_diagnosis(
            incident.incident_id, incident.endpoint, incident.variant, incident.subject, config, policy, now
        )
    except RejectedInputError as error:
        get_logger().warning("diagnosis_impossible", reason=error.reason, endpoint=incident.endpoint)
        return Refuse("endpoint_cannot_be_hooked")
    return decide_start(lease, wanted, Seen(wanted.original_config, endpoint["EndpointStatus"]), policy, now)


def _look(diagnosis: Diagnosis, world: World) -> Seen:
    if diagnosis.phase is Phase.EXPLAINING:
        # The endpoint is its owner's again; only the job is still ours.
        job = world.jobs.describe_processing_job(diagnosis.job) or {}
        return Seen(None, None, job_status=job.get("ProcessingJobStatus"))
    endpoint = world.hosting.describe_endpoint(diagnosis.endpoint) or {}
    recorded = 0
    if diagnosis.phase in {Phase.OBSERVING, Phase.RESTORING}:
        keys = world.objects.list_objects(world.settings.evidence_bucket, diagnosis.tensors_prefix)
        recorded = sum("/index/" in key for key in keys)
    hooked = (
        world.hosting.describe_endpoint_config(diagnosis.hooked_config) is not None
        or world.hosting.describe_model(diagnosis.hooked_model) is not None
    )
    return Seen(endpoint.get("EndpointConfigName"), endpoint.get("EndpointStatus"), hooked, recorded)


def _claim(before: Diagnosis, step: Step, world: World) -> Diagnosis:
    entries = []
    if step.commands or step.diagnosis.phase is not before.phase:
        what = f"diagnosis_{step.diagnosis.phase}"
        data: dict[str, str | int | float | bool | None] = {"recorded": step.diagnosis.recorded}
        entries.append(Entry(at=world.now(), what=what, reason=step.reason, by=BY, data=data))
    get_logger().info(
        "diagnosis_step",
        endpoint=before.endpoint,
        incident_id=before.incident_id,
        decision=step.diagnosis.phase.value,
        reason=step.reason,
    )
    return world.state.save_diagnosis(step.diagnosis, entries)


def _carry_out(before: Diagnosis, claimed: Diagnosis, step: Step, world: World) -> None:
    try:
        for command in step.commands:
            _apply(command, claimed, world)
    except RetryError:
        # Nothing was done that the next attempt would not do again: give the claim back.
        world.state.save_diagnosis(msgspec.structs.replace(before, version=claimed.version), [])
        raise
    if claimed.phase is not before.phase and not claimed.phase.over:
        stage = Progress(stage=claimed.phase.value, reason=step.reason, at=world.now())
        _note(claimed.incident_id, stage, world)


def _apply(command: Command, diagnosis: Diagnosis, world: World) -> None:
    hosting = world.hosting
    match command:
        case EnsureHooked():
            _ensure_hooked(diagnosis, world)
        case UpdateEndpoint(config):
            hosting.update_endpoint(diagnosis.endpoint, config)
        case StartJob():
            classes = write_classes(diagnosis.endpoint, world)
            world.jobs.create_processing_job(
                build_explain_job(diagnosis, _plan_job(diagnosis, classes, world))
            )
        case DeleteHooked():
            hosting.delete_endpoint_config(diagnosis.hooked_config)
            hosting.delete_model(diagnosis.hooked_model)
        case _:
            assert_never(command)


def _ensure_hooked(diagnosis: Diagnosis, world: World) -> None:
    model = world.hosting.describe_model(diagnosis.original_model)
    config = world.hosting.describe_endpoint_config(diagnosis.original_config)
    if model is None or config is None:
        raise RetryError("original_model_or_config_not_visible")
    hooked_model = build_hooked_model(model, diagnosis, world.settings.evidence_bucket)
    hooked_config = build_hooked_config(config, diagnosis)
    write_configs(
        diagnosis.incident_id, {**config, "Model": model}, {**hooked_config, "Model": hooked_model}, world
    )
    world.hosting.create_model(hooked_model)
    world.hosting.create_endpoint_config(hooked_config)


def _plan_job(diagnosis: Diagnosis, classes_key: str, world: World) -> JobPlan:
    policy, settings = get_policy(diagnosis.endpoint, world), world.settings
    return JobPlan(
        image_uri=settings.explain_image_uri,
        role_arn=settings.explain_role_arn,
        instance_type=settings.explain_instance_type,
        bucket=settings.evidence_bucket,
        max_images=policy.requests,
        max_runtime_seconds=int(policy.explain_within.total_seconds()),
        classes_key=classes_key,
    )


def _finish(diagnosis: Diagnosis, world: World) -> None:
    """Tell the end: progress, page, bus; and only then write down that it was told."""
    at = diagnosis.finished_at or world.now()
    explained = count_explained(diagnosis.incident_id, world)
    stage = Progress(stage=diagnosis.phase.value, reason=diagnosis.outcome, at=at, explained=explained)
    _note(diagnosis.incident_id, stage, world)
    write_page(diagnosis.incident_id, world)
    _tell(diagnosis, "abandoned" if diagnosis.phase is Phase.ABANDONED else "finished", world)
    world.state.save_diagnosis(msgspec.structs.replace(diagnosis, told=True), [])


def _note(incident_id: str, progress: Progress, world: World) -> None:
    def attempt() -> None:
        incident = world.state.load_incident(incident_id)
        record = world.state.load_open(incident.fingerprint) if incident else None
        if incident is None or record is None:
            return
        decision = note_progress(incident, record, progress, by=BY)
        if isinstance(decision, Ignore):
            return
        world.state.save_incident(decision.incident, decision.record, decision.entries)
        world.bus.publish([build_change(decision.incident, "updated")], world.now())

    retry_conflicts(attempt)


def _tell(diagnosis: Diagnosis, change: str, world: World) -> None:
    fact = DiagnosisChanged(
        change=change,
        incident_id=diagnosis.incident_id,
        account=world.place.account,
        region=world.place.region,
        endpoint=diagnosis.endpoint,
        variant=diagnosis.variant,
        outcome=diagnosis.outcome,
    )
    world.bus.publish([fact], world.now())


def _find_endpoint(fact: Fact, world: World) -> str | None:
    if isinstance(fact, EndpointChanged | IncidentChanged | DiagnosisChanged):
        return fact.endpoint
    if isinstance(fact, TensorsLanded):
        incident_id = fact.incident_id
    elif isinstance(fact, JobChanged) and fact.job.startswith(JOB_PREFIX):
        incident_id = fact.job.removeprefix(JOB_PREFIX)
    else:
        return None
    diagnosis = world.state.load_diagnosis_of(incident_id)
    return diagnosis.endpoint if diagnosis else None
