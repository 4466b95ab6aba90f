"""How a diagnosis ends."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.diagnose.commands import Step
from sagewatch.diagnose.model import Diagnosis, Phase, Policy


def leave(d: Diagnosis, phase: Phase, outcome: str, policy: Policy, now: datetime) -> Step:
    """The last step: nothing more is done, and the lease is free once the cooldown is over."""
    changed = msgspec.structs.replace(
        d, phase=phase, outcome=outcome, finished_at=now, cooldown_until=now + policy.cooldown
    )
    return Step(changed, (), outcome)
