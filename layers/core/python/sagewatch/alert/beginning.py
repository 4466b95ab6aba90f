"""Who need not begin to hear of an incident, now or at all: its evidence is away, its escalation is not due, no route leads there."""

from __future__ import annotations

from datetime import datetime, timedelta

from sagewatch.alert.ledger import Ledger, Member, is_left_behind
from sagewatch.incident.model import State
from sagewatch.incident.muting import Mute

TAKEN = "escalation_stopped"
"""Reason code of what mutes an escalation before its first word."""

UNROUTED = "no_route_any_more"
"""Reason code of what mutes a receiver before its first word, where the routes, or what they ask for, have changed."""

WAITS = "escalation_waits"
"""Reason code of what mutes an escalation until nobody has acknowledged for long enough."""

AWAY = "may_come_back"
"""Reason code of what mutes a receiver before its first word, while nobody knows whether the incident goes on."""

NEEDLESS = frozenset({TAKEN, UNROUTED})


def find_away(member: Member, ledger: Ledger, hold: timedelta) -> Mute | None:
    """Why the receiver does not begin to hear of it now: its evidence is away, and that it fires would be wrong.

    What was summed up begins as well, once it is told by itself.

    Parameters
    ----------
    hold
        So long after its evidence has gone it is over, and was since then.
    """
    if member.over or member.cleared_at is None or member.incident_id in ledger.perhaps:
        return None
    if member.told not in {None, "digested"} and not is_left_behind(member, ledger):
        return None
    return Mute(AWAY, "its evidence is away, and may come back", member.cleared_at + hold)


def find_needless(
    member: Member, ledger: Ledger, *, after: timedelta | None, since: datetime | None, now: datetime
) -> Mute | None:
    """Why the receiver need not begin to hear of it, now or at all, though it was about to: something kept it waiting.

    Who has heard of the incident hears on, up to the end; who may have heard of it is told (again), for a pager that
    rings must hear that somebody looks after it.

    Parameters
    ----------
    after
        After how long without an acknowledgement the receiver hears of the incident as it is now; None: no route leads there.
    since
        Since when people can be told of it without a break; None where they cannot, or nobody has looked.
    """
    if member.told is not None or (member.incident_id in ledger.perhaps and not member.over):
        return None
    if after is None:
        return Mute(UNROUTED, "no route leads to it any more")
    if not after:
        return None
    if member.state is not State.OPEN:
        return Mute(TAKEN, "it is over" if member.over else "somebody looks after it")
    due = None if since is None else since + after
    return None if due is not None and due <= now else Mute(WAITS, "somebody may acknowledge it", due)
