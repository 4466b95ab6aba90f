"""The state machine of a diagnosis. It looks at the world, not at messages.

Events only wake it. What to do follows from the stored diagnosis and from what is seen now, so lost,
doubled, delayed and reordered events change nothing but the time.

A step is claimed by writing it down (conditionally) BEFORE its commands are given: of two workers that
woke at once, or of one that slept through the whole story, only the winner of the write acts. A crash
after the claim leaves a sight that asks for the same command again, and every command is safe to repeat.

Success of a swap is the configuration's NAME: a failed update returns to ``InService`` silently. The way
back never waits for anything else, least of all for the saliency job.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from sagewatch.diagnose.afterwards import decide_afterwards, go_back_again, is_hooked_again
from sagewatch.diagnose.commands import (
    Command,
    DeleteHooked,
    EnsureHooked,
    RecreateOriginal,
    Refuse,
    StartJob,
    Step,
    StopJob,
    UpdateEndpoint,
)
from sagewatch.diagnose.explaining import decide_explaining
from sagewatch.diagnose.leaving import leave, leave_explained, let_go, let_go_as_it_is
from sagewatch.diagnose.model import IN_SERVICE, RESTORED_PREFIX, Diagnosis, Phase, Policy, Seen
from sagewatch.diagnose.way_back import go_back

ATTEMPTS = 3
"""How often AWS is asked for the swap, if it rolls the endpoint back each time."""
CLAIMS = 4 * ATTEMPTS
"""How often the swap is claimed while AWS was never asked: workers side by side cross each other's claims, too."""
MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
MIXED = "UpdateRollbackFailed"
UPDATING = "endpoint_is_updating"
"""Why a diagnosis does not begin yet; it passes by itself."""
MODES = frozenset({"swap", "replay"})


def decide_start(
    lease: Diagnosis | None, wanted: Diagnosis, seen: Seen, policy: Policy, now: datetime
) -> Step | Refuse:
    """Whether an incident may begin to diagnose its endpoint.

    Parameters
    ----------
    lease
        What the endpoint's lease holds; None if it was never diagnosed.
    wanted
        The diagnosis as it would begin (see ``plan_diagnosis``).
    seen
        The endpoint now.

    Returns
    -------
    Step or Refuse
        The first step, which must be written conditionally: that write is the lease.
    """
    if policy.mode not in MODES:
        return Refuse(f"mode_is_{policy.mode}")
    if seen.config is None:
        return Refuse("endpoint_is_gone")
    if seen.stop:
        return Refuse(seen.stop)
    if lease is not None:
        if lease.incident_id == wanted.incident_id:
            return Refuse("already_diagnosed")
        if not (lease.phase.over and lease.told):
            return Refuse("endpoint_is_leased")  # what it came to is told by the lease, and by nothing else
        if lease.cooldown_until is not None and now < lease.cooldown_until:
            return Refuse("cooling_down")
        if lease.used_on == wanted.used_on and lease.used_today >= policy.per_day:
            return Refuse("daily_budget_used")
    if policy.mode == "swap" and seen.status != IN_SERVICE:
        # Its configuration may be another one in a minute: no lease, and no budget, is spent on what will not be.
        return Refuse(UPDATING if seen.status in MOVING else "endpoint_failed")
    used = lease.used_today if lease is not None and lease.used_on == wanted.used_on else 0
    version = lease.version if lease is not None else 0
    return Step(msgspec.structs.replace(wanted, used_today=used + 1, version=version), (), "lease_taken")


def decide_next(diagnosis: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    """The next step of a diagnosis, from what is seen now.

    Never raises: every pair of phase and sight has an answer, ``waiting_...`` among them.
    """
    diagnosis = msgspec.structs.replace(diagnosis, recorded=max(diagnosis.recorded, seen.recorded))
    if seen.config == RESTORED_PREFIX + diagnosis.incident_id:
        # We made it and asked for it, whether or not that was answered: a step that was given back forgot the name.
        diagnosis = msgspec.structs.replace(diagnosis, original_config=seen.config)
    match diagnosis.phase:
        case Phase.FINISHED | Phase.ABANDONED:
            return decide_afterwards(diagnosis, seen, policy, now)
        case Phase.EXPLAINING:
            if is_hooked_again(diagnosis, seen):
                return go_back_again(diagnosis, policy, now)
            return decide_explaining(diagnosis, seen, policy, now)
        case Phase.SWAPPING | Phase.OBSERVING | Phase.RESTORING:
            return _hosting_step(diagnosis, seen, policy, now)
        case _:
            assert_never(diagnosis.phase)


def decide_refused(diagnosis: Diagnosis, command: Command, policy: Policy, now: datetime) -> Step | None:
    """What a final refusal of AWS means for the diagnosis; None where nothing but trying again is left.

    Parameters
    ----------
    command
        What AWS said no to, in a way that waiting does not mend.
    """
    match command:
        case DeleteHooked():
            return Step(msgspec.structs.replace(diagnosis, cannot_delete=True), (), "could_not_delete")
        case StartJob() if diagnosis.phase is Phase.EXPLAINING:
            return leave_explained(diagnosis, "job_refused", policy, now)
        case StartJob():
            changed = msgspec.structs.replace(diagnosis, explains=False, outcome="job_refused")
            return Step(changed, (), "job_refused")
        case StopJob():
            return leave_explained(diagnosis, "job_overdue", policy, now)
        case RecreateOriginal():
            return None
        case EnsureHooked() | UpdateEndpoint():
            if diagnosis.phase is Phase.SWAPPING:
                return Step(_restoring(diagnosis, "swap_refused", policy, now), (), "swap_refused")
            return None
        case _:
            assert_never(command)


def _hosting_step(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.status is None or seen.config is None:
        return let_go(d, seen, "endpoint_is_gone", policy, now)
    if seen.status in MOVING:
        return _wait_for_endpoint(d, policy, now)
    if seen.status != IN_SERVICE:
        # A failed endpoint is its owner's to mend. What it may still run on is never deleted.
        if seen.config == d.hooked_config or seen.status == MIXED:
            return let_go_as_it_is(d, "endpoint_failed", policy, now)
        return let_go(d, seen, "endpoint_failed", policy, now)
    if seen.config not in {d.original_config, d.hooked_config}:
        # An operator's own update: hands off. Our clone is in nobody's use now.
        return let_go(d, seen, "operator_changed_endpoint", policy, now)
    if d.phase is Phase.SWAPPING:
        return _swap(d, seen, policy, now)
    if d.phase is Phase.OBSERVING:
        return _observe(d, seen, policy, now)
    return _restore(d, seen, policy, now)


def _wait_for_endpoint(d: Diagnosis, policy: Policy, now: datetime) -> Step:
    if d.phase is Phase.RESTORING and d.explains and not d.job_started:
        return Step(msgspec.structs.replace(d, job_started=True), (StartJob(),), "job_begun")
    if now >= d.due:
        return Step(_put_off(d, policy, now), (), "endpoint_is_stuck")
    return Step(d, (), "waiting_for_endpoint")


def _swap(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.config == d.hooked_config:
        changed = msgspec.structs.replace(
            d, phase=Phase.OBSERVING, hooked_at=now, due=now + policy.at_most, late_since=None
        )
        return Step(changed, (), "hooked_config_verified")
    if seen.stop:
        return Step(_restoring(d, seen.stop, policy, now), (), seen.stop)
    if d.asked == 0 and d.attempts >= CLAIMS:
        return Step(_restoring(d, "swap_never_made", policy, now), (), "swap_never_made")
    if d.asked != 0 and d.attempts >= ATTEMPTS:
        return Step(_restoring(d, "rolled_back", policy, now), (), "update_rolled_back")
    if now >= d.due:
        return Step(_restoring(d, "swap_overdue", policy, now), (), "swap_overdue")
    changed = msgspec.structs.replace(d, attempts=d.attempts + 1)
    return Step(changed, (EnsureHooked(), UpdateEndpoint(d.hooked_config)), "swap_asked_for")


def _observe(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    restored = seen.config == d.original_config
    if d.recorded >= policy.requests:
        reason = "enough_recorded"
    elif restored and not d.held_up:
        reason = "restored_by_somebody"
    elif seen.stop:
        reason = seen.stop
    elif now >= d.due:
        reason = "observation_over"
    elif restored:
        reason = "restore_asked_for"  # by us: it was taken, and its answer was lost
    else:
        return Step(d, (), "waiting_for_tensors")
    outcome = "" if d.recorded else seen.stop or "no_tensors"
    changed = _restoring(d, outcome, policy, now)
    if restored:
        return Step(changed, (), reason)
    return go_back(changed, seen, reason)


def _restore(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.config == d.hooked_config:
        if now >= d.due:
            return Step(_put_off(d, policy, now), (), "restore_overdue")
        return go_back(d, seen, "restore_asked_for")
    d = msgspec.structs.replace(d, restored_at=d.restored_at or now)
    if seen.hooked_exists and not d.cannot_delete:
        return Step(d, (DeleteHooked(),), "original_config_verified")
    if not d.explains:
        return leave(d, Phase.FINISHED, d.outcome, policy, now)
    changed = msgspec.structs.replace(
        d, phase=Phase.EXPLAINING, due=now + policy.explain_within, late_since=None
    )
    return Step(changed, (), "could_not_delete" if seen.hooked_exists else "nothing_of_ours_left")


def _restoring(d: Diagnosis, outcome: str, policy: Policy, now: datetime) -> Diagnosis:
    return msgspec.structs.replace(
        d,
        phase=Phase.RESTORING,
        outcome=outcome,
        explains=d.phase is Phase.OBSERVING and not outcome,
        due=now + policy.swap_within,
        late_since=None,
    )


def _put_off(d: Diagnosis, policy: Policy, now: datetime) -> Diagnosis:
    """Wait for as long again, and remember since when it is late: people are told by that."""
    return msgspec.structs.replace(d, due=now + policy.swap_within, late_since=d.deadline)
