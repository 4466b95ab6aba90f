"""The world as a diagnosis finds it, described just now."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen
from sagewatch.errors import RefusedError, RejectedInputError, RetryError
from sagewatch.flows.quiet import find_reason_to_wait
from sagewatch.flows.saliency_files import count_explained
from sagewatch.incident.model import State
from sagewatch.observability import get_logger
from sagewatch.world import World


def look(diagnosis: Diagnosis, world: World) -> Seen:
    """What the diagnosis's next step depends on, and nothing more: every call is paid for."""
    if diagnosis.phase is Phase.EXPLAINING:
        # The endpoint is its owner's again; an update of ours that came late would be seen here.
        live = world.hosting.describe_endpoint(diagnosis.endpoint) or {} if diagnosis.mode == "swap" else {}
        job = world.jobs.describe_processing_job(diagnosis.job) or {}
        status = job.get("ProcessingJobStatus")
        explained = count_explained(diagnosis.incident_id, world) if status == "Completed" else 0
        return Seen(
            live.get("EndpointConfigName"),
            live.get("EndpointStatus"),
            job_status=status,
            explained=explained,
        )
    endpoint = world.hosting.describe_endpoint(diagnosis.endpoint) or {}
    recorded = _count_recorded(diagnosis, world) if diagnosis.phase is Phase.OBSERVING else 0
    hooked = (
        world.hosting.describe_endpoint_config(diagnosis.hooked_config) is not None
        or world.hosting.describe_model(diagnosis.hooked_model) is not None
    )
    goes_back = diagnosis.phase in {Phase.OBSERVING, Phase.RESTORING}
    return Seen(
        endpoint.get("EndpointConfigName"),
        endpoint.get("EndpointStatus"),
        hooked,
        recorded,
        stop=find_stop(diagnosis, world) if diagnosis.phase in {Phase.SWAPPING, Phase.OBSERVING} else "",
        original_exists=not goes_back or _is_original_there(diagnosis, world),
    )


def _is_original_there(diagnosis: Diagnosis, world: World) -> bool:
    hosting = world.hosting
    return (
        hosting.describe_endpoint_config(diagnosis.original_config) is not None
        and hosting.describe_model(diagnosis.original_model) is not None
    )


def _count_recorded(diagnosis: Diagnosis, world: World) -> int:
    """How many requests the hook recorded; where the bucket does not tell, as many as were known.

    The way back waits for no listing: deadline, kill switch and the end of the incident hold without it.
    """
    try:
        keys = world.objects.list_objects(world.settings.evidence_bucket, diagnosis.tensors_prefix)
    except (RetryError, RefusedError) as error:
        get_logger().warning("recorded_unknown", endpoint=diagnosis.endpoint, reason=str(error))
        return diagnosis.recorded
    return sum("/index/" in key for key in keys)


def find_stop(diagnosis: Diagnosis, world: World) -> str:
    """Why the endpoint shall be its owner's again at once, as a reason code; empty where it need not."""
    if not world.state.load_switch().on:
        return "switched_off"
    if diagnosis.stop_asked_by:
        return "stopped_by_hand"
    policy = get_policy(diagnosis.endpoint, world)
    if policy.mode != diagnosis.mode:
        return f"mode_is_{policy.mode}"
    try:
        return _find_quiet(diagnosis, world)
    except (msgspec.MsgspecError, RejectedInputError) as error:
        # No silence, and no other incident's row, keeps an endpoint from its owner: the deadline holds without them.
        get_logger().warning("quiet_unknown", endpoint=diagnosis.endpoint, reason=str(error))
        return ""


def _find_quiet(diagnosis: Diagnosis, world: World) -> str:
    """Whether the incident is over or muted, as a reason code; empty where it is neither."""
    incident = world.state.load_incident(diagnosis.incident_id)
    if incident is None:
        return ""
    if incident.state is State.RESOLVED:
        return "incident_resolved"
    mute = find_reason_to_wait(incident, world)
    return f"incident_is_{mute.reason}" if mute else ""


def get_policy(endpoint: str, world: World) -> Policy:
    """What the endpoint's owner allows now; an endpoint that is no longer listed is only cleaned up."""
    watched = world.monitors.endpoints.get(endpoint)
    return watched.diagnosis if watched else Policy(mode="off")
