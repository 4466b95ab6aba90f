"""A diagnosis's commands, carried out: the only code that changes an endpoint."""

from __future__ import annotations

from typing import assert_never

from sagewatch.diagnose.clone import (
    build_hooked_config,
    build_hooked_model,
    build_restored_config,
    build_restored_model,
    find_archive,
)
from sagewatch.diagnose.commands import (
    Command,
    DeleteHooked,
    EnsureHooked,
    RecreateOriginal,
    StartJob,
    StopJob,
    UpdateEndpoint,
)
from sagewatch.diagnose.job import JobPlan, build_explain_job
from sagewatch.diagnose.model import IN_SERVICE, Diagnosis, Policy
from sagewatch.diagnose.plan import build_deployment
from sagewatch.errors import ConflictError, RefusedError, RetryError
from sagewatch.flows.diagnosis_sight import get_policy
from sagewatch.flows.evidence import write_classes, write_configs
from sagewatch.flows.replay_requests import SUSPICIOUS, Chosen, choose_clean, choose_requests, write_requests
from sagewatch.incident.model import Incident
from sagewatch.world import World


def apply_command(command: Command, diagnosis: Diagnosis, world: World) -> None:
    """Do what the state machine ordered; doing it twice does it once.

    Raises
    ------
    RetryError
        It could not be done now.
    RefusedError
        AWS will not do it.
    """
    match command:
        case EnsureHooked():
            _ensure_hooked(diagnosis, world)
        case RecreateOriginal():
            _recreate_original(diagnosis, world)
        case UpdateEndpoint(config, carefully):
            _check_still_ours(config, diagnosis, world)
            deployment = build_deployment(
                diagnosis,
                get_policy(diagnosis.endpoint, world),
                carefully=carefully,
                hooks=config == diagnosis.hooked_config,
            )
            world.hosting.update_endpoint(diagnosis.endpoint, config, deployment)
        case StartJob():
            _start_job(diagnosis, world)
        case StopJob():
            world.jobs.stop_processing_job(diagnosis.job)
        case DeleteHooked():
            _delete_hooked(diagnosis, world)
        case _:
            assert_never(command)


def _check_still_ours(target: str, claimed: Diagnosis, world: World) -> None:
    """Look once more, right before the move: the claim was written some calls ago, and AWS has no conditional update.

    Raises
    ------
    ConflictError
        Another worker took the diagnosis further, or the endpoint is not as it was when this step was decided.
    """
    lease = world.state.load_diagnosis(claimed.endpoint)
    if lease is None or lease.version != claimed.version:
        raise ConflictError("diagnosis_went_on")
    comes_from = claimed.original_config if target == claimed.hooked_config else claimed.hooked_config
    endpoint = world.hosting.describe_endpoint(claimed.endpoint) or {}
    if endpoint.get("EndpointConfigName") != comes_from or endpoint.get("EndpointStatus") != IN_SERVICE:
        raise ConflictError("endpoint_was_changed")


def _ensure_hooked(diagnosis: Diagnosis, world: World) -> None:
    hosting, policy = world.hosting, get_policy(diagnosis.endpoint, world)
    model = hosting.describe_model(diagnosis.original_model)
    config = hosting.describe_endpoint_config(diagnosis.original_config)
    if model is None or config is None:
        raise RetryError("original_model_or_config_not_visible")
    bucket = world.settings.evidence_bucket
    hooked_model = build_hooked_model(model, hosting.list_tags(model["ModelArn"]), diagnosis, bucket, policy)
    hooked_config = build_hooked_config(config, hosting.list_tags(config["EndpointConfigArn"]), diagnosis)
    write_configs(
        diagnosis.incident_id, {**config, "Model": model}, {**hooked_config, "Model": hooked_model}, world
    )
    hosting.create_model(hooked_model)
    hosting.create_endpoint_config(hooked_config)


def _delete_hooked(diagnosis: Diagnosis, world: World) -> None:
    """Remove what is ours, unless the endpoint needs it: an operator may have cloned the configuration that was live.

    Raises
    ------
    RefusedError
        The endpoint's configuration runs our model: an instance that is replaced could not load it any more.
    """
    hosting = world.hosting
    endpoint = hosting.describe_endpoint(diagnosis.endpoint) or {}
    live = hosting.describe_endpoint_config(endpoint["EndpointConfigName"]) if endpoint else None
    live = live or {}
    if live.get("EndpointConfigName") == diagnosis.hooked_config:
        raise ConflictError("endpoint_was_changed")
    hosting.delete_endpoint_config(diagnosis.hooked_config)
    variants = [*live.get("ProductionVariants", []), *live.get("ShadowProductionVariants", [])]
    if any(one.get("ModelName") == diagnosis.hooked_model for one in variants):
        why = f"{live['EndpointConfigName']} runs it: change its model, then delete {diagnosis.hooked_model}"
        raise RefusedError("DeleteModel", "ModelInUse", why)
    hosting.delete_model(diagnosis.hooked_model)


def _recreate_original(diagnosis: Diagnosis, world: World) -> None:
    """From what is live, which nobody who cleans up can have deleted, and not from the evidence bucket."""
    hosting = world.hosting
    config = hosting.describe_endpoint_config(diagnosis.hooked_config)
    model = hosting.describe_model(diagnosis.hooked_model)
    if config is None:
        raise RetryError("original_and_hooked_config_are_gone")
    name = diagnosis.original_model
    if hosting.describe_model(name) is None:
        if model is None:
            raise RetryError("original_and_hooked_model_are_gone")
        made = build_restored_model(model, hosting.list_tags(model["ModelArn"]), diagnosis)
        hosting.create_model(made)
        name = made["ModelName"]
    tags = hosting.list_tags(config["EndpointConfigArn"])
    hosting.create_endpoint_config(build_restored_config(config, tags, diagnosis, name))


def _start_job(diagnosis: Diagnosis, world: World) -> None:
    policy, settings = get_policy(diagnosis.endpoint, world), world.settings
    incident = world.state.load_incident(diagnosis.incident_id)
    archive = _prepare_requests(diagnosis, incident, policy, world)
    ranks = incident is not None and incident.kind == "confidence" and diagnosis.mode == "swap"
    plan = JobPlan(
        image_uri=settings.explain_image_uri,
        role_arn=settings.explain_role_arn,
        instance_type=settings.explain_instance_type,
        bucket=settings.evidence_bucket,
        max_images=policy.requests,
        max_runtime_seconds=int(policy.explain_within.total_seconds()),
        classes_key=write_classes(diagnosis.endpoint, world),
        kind=incident.kind if incident else "",
        region=policy.region,
        share=_find_share(diagnosis, policy) if archive and ranks else None,
        model_data_url=archive,
        security=settings.job_security,
    )
    world.jobs.create_processing_job(build_explain_job(diagnosis, plan))


def _prepare_requests(diagnosis: Diagnosis, incident: Incident | None, policy: Policy, world: World) -> str:
    """Write the captured requests that the job runs through the model; the model's archive, or nothing to run.

    Raises
    ------
    RefusedError
        A replay without requests: there is nothing else to explain.
    """
    replays = diagnosis.mode == "replay"
    model = world.hosting.describe_model(diagnosis.original_model)
    if model is None:
        if replays:
            raise RetryError("original_model_not_visible")
        return ""
    container = model["PrimaryContainer"]
    url = find_archive(container)
    if not replays and not (policy.clean_inputs and _is_readable(url, world)):
        return ""
    chosen: list[Chosen] = []
    if incident is not None and replays:
        chosen = choose_requests(incident.latest, policy.requests, world)
    elif incident is not None:
        chosen = choose_clean(incident.latest, _count_clean(policy), world, _find_share(diagnosis, policy))
    environment = container.get("Environment", {})
    roles = write_requests(diagnosis.incident_id, chosen, environment, policy.environment, world)
    if replays and SUSPICIOUS not in roles:
        reason = "no captured request of the incident is left"
        raise RefusedError("CreateProcessingJob", "NothingToReplay", reason)
    return url if roles else ""


def _count_clean(policy: Policy) -> int:
    return policy.requests // 3


def _find_share(diagnosis: Diagnosis, policy: Policy) -> float:
    """Of what was recorded the job explains so much, for the rest of the pictures are the clean ones'.

    By what was known when the way back began. Each worker goes on to its own limit, so the job takes this share of all.
    """
    return min((policy.requests - _count_clean(policy)) / max(diagnosis.recorded, 1), 1.0)


def _is_readable(url: str, world: World) -> bool:
    """Whether the job's role surely may read a model's archive: an input that it may not would fail the whole job."""
    bucket = url.removeprefix("s3://").partition("/")[0]
    return bucket in {world.settings.capture_bucket, world.settings.evidence_bucket}
