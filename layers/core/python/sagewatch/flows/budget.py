"""Whether people can be told of what changed: it uses up the budget of its fingerprint, and what ends muted stays untold."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.alert.lateness import find_mute_at_end
from sagewatch.alert.ledger import Kind
from sagewatch.errors import SagewatchError
from sagewatch.flows.quiet import find_reason_to_wait, load_quiet
from sagewatch.incident.decision import Change, Resolve
from sagewatch.incident.lifecycle import count_as_told
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Incident
from sagewatch.observability import get_logger
from sagewatch.world import World


def hold_against_mutes(decision: Change, world: World) -> Change:
    """The decision, with its incident counted as bad as it is, once people can be told of it or have been.

    What ends, or is away and may end by that, says whether it ended muted, as nobody knows afterwards: what explains it may
    rise, a window may be deployed.
    """
    incident = decision.incident
    counted = [one for one in decision.record.counted if one.at == incident.opened_at]
    is_counted = any(one.severity.rank >= incident.severity.rank for one in counted)
    # Of what begins and ends in one write nobody knows yet whom it explains: its first look says it.
    away = incident.cleared_at if incident.resolved_at is None else None
    over = incident.resolved_at if isinstance(decision, Resolve) else away
    ends = over is not None and incident.ended_muted is None
    if incident.staged or (is_counted and not ends):
        return decision
    if ends:
        ended = msgspec.structs.replace(incident, ended_muted=_is_muted(incident, over, world))
        decision = msgspec.structs.replace(decision, incident=ended)
    if is_counted:
        return decision
    muted = _is_muted(incident, incident.resolved_at, world)
    told = not muted or (not counted and _was_told(incident, world))
    return count_as_told(decision) if told else decision


def _is_muted(incident: Incident, over: datetime | None, world: World) -> bool | None:
    """Whether nobody is told of it, now or, where it is over since then, as it ended; None where nobody knows."""
    try:
        if over is None:
            return find_reason_to_wait(incident, world) is not None
        quiet = load_quiet(world, world.now())
        return find_mute_at_end(incident.incident_id, build_labels(incident), over, quiet) is not None
    except SagewatchError as error:
        # No incident waits for what mutes it to be read: whoever tells of it names what cannot be.
        get_logger().warning("quiet_unknown", incident_id=incident.incident_id, error=str(error))
        return None


def _was_told(incident: Incident, world: World) -> bool:
    """Between two mutes nothing changed, and somebody was told: each change since finds it muted."""
    return any(debt.told == Kind.FIRING for debt in world.state.load_debts(incident.incident_id))
