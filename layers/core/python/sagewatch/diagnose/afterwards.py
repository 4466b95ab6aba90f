"""What may still come after the endpoint was given back: a worker that slept through the end wakes and acts.

UpdateEndpoint takes no condition. Between a worker's last look and its call another may have brought the whole
diagnosis to its end, so an end is an end only while the endpoint does not stand on the hooked configuration.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sagewatch.diagnose.commands import DeleteHooked, Step
from sagewatch.diagnose.model import IN_SERVICE, Diagnosis, Phase, Policy, Seen

WATCHED_FOR = timedelta(hours=2)
"""A function lives 15 minutes at most; what it asked for last takes an update more. Later, SageMaker's event wakes."""


def may_be_unfinished(d: Diagnosis) -> bool:
    """Whether a wake-up has to look: a replay that was told never touched the endpoint."""
    return not d.told or d.mode == "swap"


def is_watched(d: Diagnosis, now: datetime) -> bool:
    """Whether the minute's tick wakes the diagnosis."""
    ended = d.finished_at
    return not d.told or (d.mode == "swap" and ended is not None and now < ended + WATCHED_FOR)


def is_hooked_again(d: Diagnosis, seen: Seen) -> bool:
    """Whether the endpoint stands on the hooked configuration although it was given back."""
    return d.mode == "swap" and seen.status == IN_SERVICE and seen.config == d.hooked_config


def decide_afterwards(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    """What to do once a diagnosis is over: nothing, unless something of ours is live or left."""
    if is_hooked_again(d, seen):
        return go_back_again(d, policy, now)
    if d.mode == "swap" and seen.status == IN_SERVICE and seen.hooked_exists and not d.cannot_delete:
        return Step(d, (DeleteHooked(),), "made_after_the_end")
    return Step(d, (), "waiting_for_nothing")


def go_back_again(d: Diagnosis, policy: Policy, now: datetime) -> Step:
    """Restore as before; what was found, and how it ended, stays."""
    changed = msgspec.structs.replace(
        d,
        phase=Phase.RESTORING,
        due=now + policy.swap_within,
        late_since=None,
        restored_at=None,
        let_go_at=None,
        finished_at=None,
        endings=0,
        told=False,
        explains=d.phase is Phase.EXPLAINING,
    )
    return Step(changed, (), "hooked_after_the_end")
