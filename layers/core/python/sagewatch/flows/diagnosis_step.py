"""One step of a diagnosis: claimed by a conditional write, carried out, and given back where AWS would not."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.commands import Command, Step, UpdateEndpoint
from sagewatch.diagnose.machine import MOVING, decide_refused
from sagewatch.diagnose.model import Diagnosis, Phase
from sagewatch.diagnose.way_back import WAYS, is_way_back, note_held_up
from sagewatch.errors import ConflictError, DeclinedError, RefusedError, RetryError
from sagewatch.flows.diagnosis_commands import apply_command
from sagewatch.flows.diagnosis_notes import build_entry, build_progress, note_stage
from sagewatch.flows.diagnosis_sight import get_policy
from sagewatch.incident.doing import WAY_BACK_REFUSED
from sagewatch.observability import get_logger
from sagewatch.world import World


def claim(before: Diagnosis, step: Step, world: World) -> Diagnosis:
    """Save what the step decided before anything is done, so that one worker alone does it."""
    # A wait changes nothing of what is held up: whose the way back was is told by it.
    waits_on = not step.commands and step.diagnosis.phase is before.phase
    after = msgspec.structs.replace(step.diagnosis, held_up=before.held_up if waits_on else "")
    is_news = bool(step.commands) or after.phase is not before.phase or after.due != before.due
    # What was held up was written down when it was first asked for.
    entries = [build_entry(after, step.reason, world)] if is_news and not before.held_up else []
    get_logger().info(
        "diagnosis_step",
        endpoint=before.endpoint,
        incident_id=before.incident_id,
        decision=after.phase.value,
        reason=step.reason,
    )
    return world.state.save_diagnosis(after, entries)


def carry_out(before: Diagnosis, claimed: Diagnosis, step: Step, world: World) -> None:
    """Do what was claimed; give the claim back where AWS could not, write down where it would not.

    Raises
    ------
    ConflictError
        The endpoint is no longer as it was seen.
    RetryError
        Nothing was done, and the same is to be asked again later.
    """
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
    stage = build_progress(claimed, step.reason, world.now())
    note_stage(claimed.incident_id, stage, world)


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
        note_stage(claimed.incident_id, build_progress(claimed, WAY_BACK_REFUSED, world.now()), world)
    entries = []
    # Of a way back that is refused each way is told of once.
    if before.held_up != waiting.held_up or before.refused < waiting.refused <= WAYS:
        entry = build_entry(waiting, waiting.held_up, world)
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
    entry = build_entry(claimed, step.reason, world)
    data: dict[str, str | int | float | bool | None] = {"operation": error.operation, "why": error.message}
    refused = msgspec.structs.replace(entry, what="diagnosis_refused", data=data)
    entries = [refused]
    if step.diagnosis.phase is not claimed.phase:
        entries.append(build_entry(step.diagnosis, step.reason, world))
    world.state.save_diagnosis(step.diagnosis, entries)
