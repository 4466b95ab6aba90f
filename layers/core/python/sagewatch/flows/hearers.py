"""Who is to hear of an incident now: by the routes as they are, and whoever was told before, by whichever routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert_state import TOLD_TO_THE_END
from sagewatch.flows.alert_waits import BY
from sagewatch.flows.channels import has_open, list_channels
from sagewatch.flows.escalation_clock import find_escalation_start
from sagewatch.flows.settle_target import Target
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Debt, Entry, Incident, State
from sagewatch.incident.muting import Quiet
from sagewatch.incident.routing import Timers, build_group, decide_receivers
from sagewatch.observability import get_logger
from sagewatch.world import World

BEGINS_NO_MORE = timedelta(hours=1)
"""So long after others heard of its end nobody new hears of an incident: a look came late, or a deployment brought a receiver."""


class Hearers(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears of an incident.

    Attributes
    ----------
    targets
        The receivers' channels.
    gone
        Those that are owed its end and that monitors.yml names no more.
    escalates_from
        Since when people can be told of it without a break; None where nothing is to escalate.
    """

    targets: tuple[Target, ...] = ()
    gone: tuple[str, ...] = ()
    escalates_from: datetime | None = None


def find_hearers(incident: Incident, quiet: Quiet, now: datetime, world: World, rounds: int) -> Hearers:
    """Who hears of it now; nobody where it is on trial.

    Parameters
    ----------
    rounds
        How many wake-ups in a row led here.
    """
    if incident.staged:
        return Hearers()
    debts = {debt.receiver: debt for debt in world.state.load_debts(incident.incident_id)}
    since = find_escalation_start(incident, debts, quiet, now, world)
    routed = list(_list_routed(incident, debts, since, now, world, rounds))
    names = {target.name for target in routed}
    told = [debt for name, debt in debts.items() if name not in names and debt.group]
    served = [debt for debt in told if _is_named(debt, world)]
    gone = [debt.receiver for debt in told if debt not in served and has_open(debt, world.alerts)]
    for receiver in gone:
        _note_receiver_gone(incident, receiver, now, world)
    further = (_build_target(incident, debt, world, rounds) for debt in served)
    return Hearers(targets=(*routed, *further), gone=tuple(gone), escalates_from=since)


def _list_routed(
    incident: Incident, debts: Mapping[str, Debt], escalates_from: datetime | None, now: datetime,
    world: World, rounds: int,
) -> Iterator[Target]:  # fmt: skip
    labels = build_labels(incident)
    is_past = incident.state is State.RESOLVED and _has_ended(debts, now)
    for routed in decide_receivers(world.monitors.route, labels):
        waits = escalates_from is None or now < escalates_from + routed.after
        for channel in list_channels(world.monitors.receivers[routed.receiver]):
            name = f"{routed.receiver}/{channel}"
            if name not in debts and (is_past or (routed.after and waits)):
                continue
            known = debts[name].group if name in debts else ""
            group = known or world.alerts.find_room(
                build_group(routed, labels, incident.incident_id, flapping=incident.flapping), name, now
            )
            yield Target(name, group, routed.timers, routed.reason, rounds)


def _has_ended(debts: Mapping[str, Debt], now: datetime) -> bool:
    """Whether somebody has known for long that it is over."""
    ends = [one.told_at for one in debts.values() if one.told in TOLD_TO_THE_END and one.told_at is not None]
    return bool(ends) and min(ends) + BEGINS_NO_MORE < now


def _is_named(debt: Debt, world: World) -> bool:
    receiver, _, channel = debt.receiver.rpartition("/")
    named = world.monitors.receivers.get(receiver)
    return named is not None and channel in list_channels(named)


def _build_target(incident: Incident, debt: Debt, world: World, rounds: int) -> Target:
    """A receiver to which no route leads any more, in the way in which it heard."""
    member = world.alerts.load_member(debt.group, debt.receiver, incident.incident_id)
    timers = (member.timers if member is not None else None) or Timers()
    return Target(debt.receiver, debt.group, timers, debt.route, rounds)


def _note_receiver_gone(incident: Incident, receiver: str, now: datetime, world: World) -> None:
    """Say once that nobody will tell the receiver of the end: what it has open is to be closed there by hand."""
    entry = Entry(at=now, what="alert_left_open", reason="receiver_gone", by=BY, data={"receiver": receiver})
    if world.alerts.note_once(incident.incident_id, entry):
        get_logger().warning("alert_left_open", incident_id=incident.incident_id, receiver=receiver)
