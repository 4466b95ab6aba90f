"""Since when an escalation counts: nobody can look after what nobody is told of."""

from __future__ import annotations

from datetime import datetime

from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Incident, State
from sagewatch.incident.muting import Quiet, may_automate
from sagewatch.incident.routing import decide_receivers
from sagewatch.world import World


def find_escalation_start(incident: Incident, quiet: Quiet, now: datetime, world: World) -> datetime | None:
    """Since when people can be told of the open incident without a break; None where nothing is to escalate now."""
    routed = decide_receivers(world.monitors.route, build_labels(incident))
    # Nobody new is woken for what is away: it is over soon, or comes back.
    goes_on = incident.state is State.OPEN and incident.cleared_at is None
    if not goes_on or not any(one.after for one in routed):
        return None
    if may_automate(incident, quiet, now) is not None:
        world.alerts.save_audible_since(incident.incident_id, None)
        return None
    known = world.alerts.load_audible_since(incident.incident_id)
    # Somebody looked after it until it got worse: only since then nobody does.
    since = max(at for at in (known or now, incident.lapsed_at) if at is not None)
    if since != known:
        world.alerts.save_audible_since(incident.incident_id, since)
    return since
