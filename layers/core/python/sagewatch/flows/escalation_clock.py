"""Since when an escalation counts: nobody can look after what nobody is told of."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Incident, State
from sagewatch.incident.muting import Quiet, find_unmuted_since, may_automate
from sagewatch.incident.routing import Routed, decide_receivers
from sagewatch.world import World

LOOKED_BACK = timedelta(days=1)
"""What mutes for longer than the quarter of an hour between two looks is noticed by one of them, however long ago."""


def find_escalation_start(
    incident: Incident, heard: Collection[str], quiet: Quiet, now: datetime, world: World
) -> datetime | None:
    """Since when people can be told of the open incident without a break; None where nothing is to escalate now.

    Parameters
    ----------
    heard
        The receivers' channels that hear of it already.
    """
    labels = build_labels(incident)
    later = [one for one in decide_receivers(world.monitors.route, labels) if one.after]
    # Nobody new is woken for what is away: it is over soon, or comes back.
    goes_on = incident.state is State.OPEN and incident.cleared_at is None
    if not goes_on or not later:
        return None
    if may_automate(incident, quiet, now) is not None:
        world.alerts.save_audible_since(incident.incident_id, None)
        return None
    known = world.alerts.load_audible_since(incident.incident_id)
    # Somebody looked after it until it got worse: only since then nobody does.
    since = max(at for at in (known or now, incident.lapsed_at) if at is not None)
    if any(since + one.after <= now and not _hears(one, heard) for one in later):
        # A mute may have come and gone between two looks.
        back = max(since, now - LOOKED_BACK)
        found = find_unmuted_since(incident.incident_id, labels, quiet, back, now)
        since = since if found == back else found
    if since != known:
        world.alerts.save_audible_since(incident.incident_id, since)
    return since


def _hears(routed: Routed, heard: Collection[str]) -> bool:
    return any(name.rpartition("/")[0] == routed.receiver for name in heard)
