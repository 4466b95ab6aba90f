"""What ended muted is told to nobody, whatever mutes it since; what did not is told, however late a mute begins after it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from sagewatch.alert.ledger import Member
from sagewatch.incident.muting import Mute, Quiet, find_mute


def find_mute_at_end(
    incident_id: str, labels: Mapping[str, str], over: datetime, quiet: Quiet
) -> Mute | None:
    """Why nobody was told of it at the moment in which it was over.

    Asked as it ends, and written down: later, a window may have been deployed, or what explains by being critical may
    have risen to that.
    """
    return find_mute(incident_id, labels, quiet.look_back(over), over)


def find_member_mute(member: Member, quiet: Quiet, now: datetime) -> Mute | None:
    """Why nobody is told of it now, and, of what is over and was not told yet, whether that began only after its end."""
    mute = find_mute(member.incident_id, member.labels, quiet, now)
    over = member.resolved_at if member.over and member.told is None else None
    if over is None:
        return mute
    muted = member.ended_muted
    if muted is None:  # an older version did not write it down
        muted = find_mute_at_end(member.incident_id, member.labels, over, quiet) is not None
    if mute is None:
        return Mute("ended_muted", "it was muted as it ended") if muted else None
    return msgspec.structs.replace(mute, late=not muted)
