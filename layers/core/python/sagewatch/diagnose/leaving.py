"""How a diagnosis ends."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.diagnose.commands import DeleteHooked, Step
from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen


def leave(d: Diagnosis, phase: Phase, outcome: str, policy: Policy, now: datetime) -> Step:
    """The last step: nothing more is done, and the lease is free once the cooldown is over."""
    changed = msgspec.structs.replace(
        d, phase=phase, outcome=outcome, finished_at=now, cooldown_until=now + policy.cooldown
    )
    return Step(changed, (), outcome)


def let_go(d: Diagnosis, seen: Seen, outcome: str, policy: Policy, now: datetime) -> Step:
    """Hands off an endpoint that is no longer ours to move; what is of ours alone is still brought to its end.

    Nothing of ours is left behind, and what was recorded whole is explained: its job may be running already.
    """
    if seen.hooked_exists and not d.cannot_delete:
        return Step(d, (DeleteHooked(),), outcome)
    return let_go_as_it_is(d, outcome, policy, now)


def let_go_as_it_is(d: Diagnosis, outcome: str, policy: Policy, now: datetime) -> Step:
    """The same where the endpoint may still run on what we made: that stays."""
    if d.phase is not Phase.RESTORING or not d.explains:
        return leave(d, Phase.ABANDONED, outcome, policy, now)
    changed = msgspec.structs.replace(
        d,
        phase=Phase.EXPLAINING,
        outcome=outcome,
        let_go_at=now,
        due=now + policy.explain_within,
        late_since=None,
    )
    return Step(changed, (), outcome)


def leave_explained(d: Diagnosis, outcome: str, policy: Policy, now: datetime) -> Step:
    """The end of the saliency job. Of an endpoint that was let go meanwhile people hear that: it is not as it was."""
    if d.let_go_at is None:
        return leave(d, Phase.FINISHED, outcome, policy, now)
    left = leave(d, Phase.ABANDONED, d.outcome, policy, now)
    return msgspec.structs.replace(left, reason=outcome)
