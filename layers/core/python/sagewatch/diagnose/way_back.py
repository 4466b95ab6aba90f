"""The way back to the owner's configuration: asked for until it works, and never for ever in a way that does not."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.diagnose.commands import Command, RecreateOriginal, Step, UpdateEndpoint
from sagewatch.diagnose.model import RESTORED_PREFIX, Diagnosis, Policy, Seen

WAYS = 2
"""By the endpoint's own deployment policy, and all at once."""


def go_back(d: Diagnosis, seen: Seen, reason: str) -> Step:
    """Ask for the owner's configuration, made again first where it was deleted meanwhile."""
    carefully = goes_carefully(d)
    d = msgspec.structs.replace(d, restores=d.restores + 1)
    if seen.original_exists:
        return Step(d, (UpdateEndpoint(d.original_config, carefully),), reason)
    # Under a name of ours: the role may make no other.
    d = msgspec.structs.replace(d, original_config=RESTORED_PREFIX + d.incident_id)
    return Step(d, (RecreateOriginal(), UpdateEndpoint(d.original_config, carefully)), "original_was_deleted")


def goes_carefully(d: Diagnosis) -> bool:
    """Whether the next way back goes by the endpoint's own deployment policy: at first, then in turn with all at once.

    The policy may take the way back back, by an alarm that rings for the very incident; and AWS may say no to it
    for good (an alarm that is gone, a canary of more instances than are left), as it may to all at once (no room
    for a second fleet, which a rolling policy does not need). Only in turn neither is asked for for ever.
    """
    return (d.restores + d.refused) % 2 == 0


def note_held_up(
    before: Diagnosis, command: Command, reason: str, policy: Policy, now: datetime, *, declined: bool
) -> Diagnosis:
    """The diagnosis after a command that could not be given: as before it, and it knows what AWS said no to.

    Parameters
    ----------
    declined
        Whether AWS said no to this very request, and was not just busy. Of a way back that is late by a whole move
        whatever stands in the way counts as a no.
    """
    late = now >= before.deadline + policy.swap_within
    refused = before.refused + ((declined or late) and is_way_back(command, before))
    return msgspec.structs.replace(before, held_up=reason, refused=refused)


def is_way_back(command: Command, d: Diagnosis) -> bool:
    """Whether the command asks for the endpoint to leave the hooked configuration."""
    return isinstance(command, UpdateEndpoint) and command.config != d.hooked_config
