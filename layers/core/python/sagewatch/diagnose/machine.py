"""The state machine of a diagnosis. It looks at the world, not at messages.

Events only wake it. What to do follows from the stored diagnosis and from what is seen now, so lost,
doubled, delayed and reordered events change nothing but the time.

A step is claimed by writing it down (conditionally) BEFORE its commands are given: of two workers that
woke at once, or of one that slept through the whole story, only the winner of the write acts. A crash
after the claim leaves a sight that asks for the same command again, and every command is safe to repeat.

Success of a swap is the configuration's NAME: a failed update returns to ``InService`` silently.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen

IN_SERVICE = "InService"
ATTEMPTS = 3
MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


class EnsureHooked(msgspec.Struct, frozen=True):
    """Make the hooked model and configuration, where they do not exist yet."""


class UpdateEndpoint(msgspec.Struct, frozen=True):
    """Ask for the endpoint to move to a configuration."""

    config: str


class StartJob(msgspec.Struct, frozen=True):
    """Start the saliency job on what was recorded."""


class DeleteHooked(msgspec.Struct, frozen=True):
    """Remove the hooked configuration and model: ours, and no longer in use."""


Command = EnsureHooked | UpdateEndpoint | StartJob | DeleteHooked


class Step(msgspec.Struct, frozen=True):
    """What to do now and what to remember afterwards.

    Attributes
    ----------
    commands
        To be given in this order, once ``diagnosis`` has been written.
    reason
        Why, as a reason code; the audit trail keeps it when the phase changes.
    """

    diagnosis: Diagnosis
    commands: tuple[Command, ...]
    reason: str

    @property
    def waits(self) -> bool:
        """Whether there is nothing to do until the world changes."""
        return not self.commands and self.reason.startswith("waiting")


class Refuse(msgspec.Struct, frozen=True):
    """No diagnosis is begun, and why."""

    reason: str


def decide_start(
    lease: Diagnosis | None, wanted: Diagnosis, seen: Seen, policy: Policy, now: datetime
) -> Step | Refuse:
    """Whether an incident may begin to diagnose its endpoint.

    Parameters
    ----------
    lease
        What the endpoint's lease holds; None if it was never swapped.
    wanted
        The diagnosis as it would begin (see ``plan_diagnosis``).
    seen
        The endpoint now.

    Returns
    -------
    Step or Refuse
        The first step, which must be written conditionally: that write is the lease.
    """
    if policy.mode != "swap":
        return Refuse(f"mode_is_{policy.mode}")
    if seen.config is None:
        return Refuse("endpoint_is_gone")
    if lease is not None:
        if lease.incident_id == wanted.incident_id:
            return Refuse("already_diagnosed")
        if not lease.phase.over:
            return Refuse("endpoint_is_leased")
        if lease.cooldown_until is not None and now < lease.cooldown_until:
            return Refuse("cooling_down")
        if lease.used_on == wanted.used_on and lease.used_today >= policy.per_day:
            return Refuse("daily_budget_used")
    used = lease.used_today if lease is not None and lease.used_on == wanted.used_on else 0
    version = lease.version if lease is not None else 0
    return Step(msgspec.structs.replace(wanted, used_today=used + 1, version=version), (), "lease_taken")


def decide_next(diagnosis: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    """The next step of a diagnosis, from what is seen now.

    Never raises: every pair of phase and sight has an answer, ``waiting_...`` among them.
    """
    diagnosis = msgspec.structs.replace(diagnosis, recorded=max(diagnosis.recorded, seen.recorded))
    match diagnosis.phase:
        case Phase.FINISHED | Phase.ABANDONED:
            return Step(diagnosis, (), "waiting_for_nothing")
        case Phase.EXPLAINING:
            return _explain(diagnosis, seen, policy, now)
        case Phase.SWAPPING | Phase.OBSERVING | Phase.RESTORING:
            return _hosting_step(diagnosis, seen, policy, now)
        case _:
            assert_never(diagnosis.phase)


def _hosting_step(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.status is None or seen.config is None:
        return _leave_clean(d, seen, Phase.ABANDONED, "endpoint_is_gone", policy, now)
    if seen.status in MOVING:
        return Step(d, (), "waiting_overdue" if now >= d.due else "waiting_for_endpoint")
    if seen.status != IN_SERVICE:
        return _leave(d, Phase.ABANDONED, "endpoint_failed", policy, now)
    if seen.config not in {d.original_config, d.hooked_config}:
        # An operator's own update: hands off. Our clone is in nobody's use now.
        return _leave_clean(d, seen, Phase.ABANDONED, "operator_changed_endpoint", policy, now)
    if d.phase is Phase.SWAPPING:
        return _swap(d, seen, policy, now)
    if d.phase is Phase.OBSERVING:
        return _observe(d, seen, policy, now)
    return _restore(d, seen, policy, now)


def _swap(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.config == d.hooked_config:
        changed = msgspec.structs.replace(d, phase=Phase.OBSERVING, hooked_at=now, due=now + policy.at_most)
        return Step(changed, (), "hooked_config_verified")
    if d.attempts >= ATTEMPTS:
        return Step(_restoring(d, "rolled_back", policy, now), (), "update_rolled_back")
    if now >= d.due:
        return Step(_restoring(d, "swap_overdue", policy, now), (), "swap_overdue")
    changed = msgspec.structs.replace(d, attempts=d.attempts + 1)
    return Step(changed, (EnsureHooked(), UpdateEndpoint(d.hooked_config)), "swap_asked_for")


def _observe(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    enough, late = d.recorded >= policy.requests, now >= d.due
    restored = seen.config == d.original_config
    if not (enough or late or restored):
        return Step(d, (), "waiting_for_tensors")
    reason = "enough_recorded" if enough else "observation_over" if late else "restored_by_somebody"
    back: tuple[Command, ...] = () if restored else (UpdateEndpoint(d.original_config),)
    if d.recorded == 0:
        return Step(_restoring(d, "no_tensors", policy, now), back, reason)
    changed = msgspec.structs.replace(_restoring(d, "", policy, now), job_started=True)
    return Step(changed, (StartJob(), *back), reason)


def _restore(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.config == d.hooked_config:
        return Step(d, (UpdateEndpoint(d.original_config),), "restore_asked_for")
    d = msgspec.structs.replace(d, restored_at=d.restored_at or now)
    if seen.hooked_exists:
        return Step(d, (DeleteHooked(),), "original_config_verified")
    if not d.job_started:
        return _leave(d, Phase.FINISHED, d.outcome, policy, now)
    changed = msgspec.structs.replace(d, phase=Phase.EXPLAINING, due=now + policy.explain_within)
    return Step(changed, (), "nothing_of_ours_left")


def _explain(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    if seen.job_status == "Completed":
        return _leave(d, Phase.FINISHED, "explained", policy, now)
    if seen.job_status in {"Failed", "Stopped"}:
        return _leave(d, Phase.FINISHED, "job_failed", policy, now)
    if now >= d.due:
        return _leave(d, Phase.FINISHED, "job_overdue", policy, now)
    if seen.job_status is None:
        return Step(d, (StartJob(),), "job_was_missing")
    return Step(d, (), "waiting_for_job")


def _restoring(d: Diagnosis, outcome: str, policy: Policy, now: datetime) -> Diagnosis:
    return msgspec.structs.replace(d, phase=Phase.RESTORING, outcome=outcome, due=now + policy.swap_within)


def _leave_clean(d: Diagnosis, seen: Seen, phase: Phase, outcome: str, policy: Policy, now: datetime) -> Step:
    if seen.hooked_exists:
        return Step(d, (DeleteHooked(),), outcome)
    return _leave(d, phase, outcome, policy, now)


def _leave(d: Diagnosis, phase: Phase, outcome: str, policy: Policy, now: datetime) -> Step:
    changed = msgspec.structs.replace(
        d, phase=phase, outcome=outcome, finished_at=now, cooldown_until=now + policy.cooldown
    )
    return Step(changed, (), outcome)
