"""Who hears only where nobody looks after an incident: while somebody does, that receiver begins to hear nothing."""

from __future__ import annotations

from sagewatch.alert.ledger import Ledger, Member
from sagewatch.incident.model import State
from sagewatch.incident.muting import Mute

TAKEN = "escalation_stopped"
"""Reason code of what mutes an escalation before its first word."""


def find_taken(member: Member, ledger: Ledger) -> Mute | None:
    """Why an escalation need not begin any more, though it was due: company or its receiver kept it waiting.

    Who has heard of the incident hears on, up to the end; who may have heard of it is told (again), for a pager that
    rings must hear that somebody looks after it.
    """
    if not member.escalated or member.told is not None or member.state is State.OPEN:
        return None
    if member.incident_id in ledger.perhaps and not member.over:
        return None
    return Mute(TAKEN, "it is over" if member.over else "somebody looks after it")
