"""What a person decides about an incident, from the command line or a button: acknowledged, resolved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sagewatch.errors import RejectedInputError
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.manage_incident import build_change
from sagewatch.incident.decision import Change, Ignore
from sagewatch.incident.lifecycle import acknowledge, resolve_by_hand
from sagewatch.incident.model import Incident, OpenRecord
from sagewatch.ports import Bus
from sagewatch.state import State

Decide = Callable[[Incident, OpenRecord], Change | Ignore]


def acknowledge_incident(incident_id: str, *, by: str, state: State, bus: Bus, now: datetime) -> str:
    """Somebody looks after it; the reason code of what that changed.

    Raises
    ------
    RejectedInputError
        There is no such incident.
    """
    return _decide(
        incident_id, lambda one, record: acknowledge(one, record, by=by, now=now), "acknowledged", state, bus, now
    )  # fmt: skip


def resolve_incident(incident_id: str, *, by: str, reason: str, state: State, bus: Bus, now: datetime) -> str:
    """It is over, says somebody, and why; the reason code of what that changed.

    Raises
    ------
    RejectedInputError
        There is no such incident.
    """
    return _decide(
        incident_id,
        lambda one, record: resolve_by_hand(one, record, by=by, reason=reason, now=now),
        "resolved",
        state,
        bus,
        now,
    )


def _decide(incident_id: str, decide: Decide, change: str, state: State, bus: Bus, now: datetime) -> str:
    def attempt() -> tuple[Incident | None, str]:
        incident = state.load_incident(incident_id)
        record = state.load_open(incident.fingerprint) if incident else None
        if incident is None or record is None:
            raise RejectedInputError("is not known here", where=f"incident {incident_id}")
        decision = decide(incident, record)
        if isinstance(decision, Ignore):
            return None, decision.reason
        state.save_incident(decision.incident, decision.record, decision.entries)
        return decision.incident, decision.reason

    changed, reason = retry_conflicts(attempt)
    if changed is not None:
        # An acknowledgement is news for who was told: messages that can change in place do.
        names = [change] if change == "resolved" else [change, "updated"]
        bus.publish([build_change(changed, name) for name in names], now)
    return reason
