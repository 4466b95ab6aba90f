"""What each receiver is still owed of an incident goes out: claim, send, record.

The incident joins the group that its route puts it in; the group's one message is brought up to date where it
is time. Whatever is to happen later stands in the table: a wake-up that is lost costs a minute, never a message.
A crash between sending and recording repeats a message after the claim has lapsed; none is ever lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.content import Announcement, Companion
from sagewatch.alert.outbox import (
    Hold,
    Kind,
    Ledger,
    Member,
    Send,
    Spare,
    build_content,
    build_wait,
    decide_announcement,
    find_wait,
    settle,
)
from sagewatch.alert_state import Group
from sagewatch.errors import ConflictError, DeliveryError, RetryError
from sagewatch.events import AlertDue, DiagnosisChanged, Fact, IncidentChanged
from sagewatch.flows.channels import POLICIES, list_channels, send_message
from sagewatch.flows.evidence import build_links, get_class_names, write_page
from sagewatch.flows.quiet import load_quiet
from sagewatch.incident.describe import describe
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Entry, Incident, State
from sagewatch.incident.muting import Quiet, find_mute
from sagewatch.incident.routing import Timers, build_group, decide_receivers
from sagewatch.observability import get_logger
from sagewatch.world import World

BY = "deliver_alert"
CLAIM = timedelta(seconds=60)  # longer than a channel's timeout and its retries
REVIEW = timedelta(minutes=15)  # an open incident is looked at this often, whatever was lost
TOLD_TO_THE_END = frozenset({"resolved", "spared", "digested"})
SOON = timedelta(minutes=1)  # what only the state of another incident can end
WAKE_AT_MOST = timedelta(minutes=15)  # SQS delays no longer
_MESSAGES_AT_ONCE = 4  # spared, firing, resolved, and one more look
_BACKOFF = (30, 60, 120, 300, 600, 900)


class Target(msgspec.Struct, frozen=True):
    """A receiver's channel that hears of the incident, in which group and how."""

    name: str
    group: str
    timers: Timers


class Outcome(msgspec.Struct, frozen=True):
    """What came of one target: messages sent, when to look again, whether it is owed nothing any more."""

    sent: int
    until: datetime | None
    settled: bool


def deliver_alert(fact: Fact, world: World) -> None:
    """Tell everybody who is owed something about the incident; one receiver's failure keeps no other waiting."""
    if not isinstance(fact, IncidentChanged | DiagnosisChanged | AlertDue):
        return
    incident = world.state.load_incident(fact.incident_id)
    if incident is None:
        raise RetryError("incident_not_visible_yet")
    forced = isinstance(fact, AlertDue) and fact.forced
    now = world.now()
    quiet = load_quiet(world, now)
    targets = [] if incident.staged else list(_list_targets(incident, now, world))
    outcomes = [_settle_target(incident, target, quiet, world, forced=forced) for target in targets]
    if any(outcome.sent for outcome in outcomes):
        # The page lists who was told what; it is as good as it was without that line, so it comes last.
        write_page(incident.incident_id, world)
    world.alerts.save_due(incident, _find_due(incident, outcomes, quiet, now, world), now)


def build_due(incident: Incident, *, forced: bool = False) -> AlertDue:
    """The fact that an incident's alerts are to be looked at."""
    return AlertDue(
        incident_id=incident.incident_id,
        account=incident.account,
        region=incident.region,
        endpoint=incident.endpoint,
        variant=incident.variant,
        forced=forced,
    )


def _list_targets(incident: Incident, now: datetime, world: World) -> Iterator[Target]:
    """Who hears by the routes as they are now, and whoever was told before, by whichever routes."""
    labels, seen = build_labels(incident), set()
    debts = {debt.receiver: debt for debt in world.state.load_debts(incident.incident_id)}
    for routed in decide_receivers(world.monitors.route, labels):
        waits = incident.state is not State.OPEN or now < incident.opened_at + routed.after
        for channel in list_channels(world.monitors.receivers[routed.receiver]):
            name = f"{routed.receiver}/{channel}"
            if routed.after and waits and name not in debts:
                continue
            seen.add(name)
            known = debts[name].group if name in debts else ""
            group = known or build_group(routed, labels, incident.incident_id)
            yield Target(name, group, routed.timers)
    for name, debt in debts.items():
        receiver, _, channel = name.rpartition("/")
        still = world.monitors.receivers.get(receiver)
        if name not in seen and debt.group and still is not None and channel in list_channels(still):
            yield Target(name, debt.group, Timers())


def _settle_target(
    incident: Incident, target: Target, quiet: Quiet, world: World, *, forced: bool
) -> Outcome:
    now = world.now()
    joined = world.alerts.join_group(target.group, target.name, _build_member(incident, now, world))
    wait = find_wait(world.alerts.load_ledger(target.group, target.name), joined, now, target.timers)
    if wait is not None and not forced:
        return Outcome(0, wait.until, settled=False)
    hold, sent = Hold("still_more_to_tell", now + SOON), 0
    for _ in range(_MESSAGES_AT_ONCE):
        group = world.alerts.load_group(target.group, target.name)
        decision = _decide(group, target, quiet, world, forced=forced)
        if isinstance(decision, Spare):
            _spare(group, decision, world)
            continue
        if isinstance(decision, Hold):
            hold = decision
            _wake_later(incident, group, hold, world)
            break
        try:
            claimed = world.alerts.save_ledger(
                msgspec.structs.replace(group.ledger, claimed_until=world.now() + CLAIM)
            )
        except ConflictError:
            continue
        failed = _send_and_record(incident, claimed, group.members, decision, world)
        if failed is not None:
            hold = failed
            break
        sent += 1
    member = world.alerts.load_member(target.group, target.name, incident.incident_id)
    settled = incident.state is State.RESOLVED and member is not None and member.told in TOLD_TO_THE_END
    return Outcome(sent, hold.until, settled)


def _decide(group: Group, target: Target, quiet: Quiet, world: World, *, forced: bool) -> Send | Spare | Hold:
    ledger, now = group.ledger, world.now()
    if ledger.claimed_until is not None and now < ledger.claimed_until:
        return Hold("being_sent_by_another", ledger.claimed_until)
    mutes = {
        one.incident_id: mute
        for one in group.members
        if (mute := find_mute(one.incident_id, one.labels, quiet, now)) is not None
    }
    policy = POLICIES[target.name.rpartition("/")[2]]
    digest = world.monitors.flapping.digest
    decision = decide_announcement(ledger, group.members, mutes, now, target.timers, policy, digest)
    if isinstance(decision, Send) and not forced:
        if ledger.retry_at is not None and now < ledger.retry_at:
            return Hold("receiver_is_down", ledger.retry_at)
        if ledger.refused == decision.content:
            return Hold("receiver_refused")
    return decision


def _build_member(incident: Incident, now: datetime, world: World) -> Member:
    headline = describe(incident.latest, get_class_names(incident.endpoint, world)).headline
    return Member(
        incident_id=incident.incident_id,
        labels=build_labels(incident),
        state=incident.state,
        severity=incident.severity,
        headline=headline,
        opened_at=incident.opened_at,
        joined_at=now,
        seen=incident.version,
        content=build_content(incident),
        resolved_at=incident.resolved_at,
        acknowledged_at=incident.acknowledged_at,
        flapping=incident.flapping,
    )


def _spare(group: Group, spare: Spare, world: World) -> None:
    spared = [
        msgspec.structs.replace(one, told=spare.told)
        for one in group.members
        if one.incident_id in spare.incidents
    ]
    entry = Entry(
        at=world.now(),
        what="alert_spared",
        reason=spare.reason,
        by=BY,
        data={"receiver": group.ledger.receiver},
    )
    world.alerts.record_told(group.ledger, spared, lambda _: entry)


def _send_and_record(
    incident: Incident, claimed: Ledger, members: Sequence[Member], send: Send, world: World
) -> Hold | None:
    """None where it went out, else when to try again."""
    lead_id = send.shows[0]
    lead = incident if lead_id == incident.incident_id else world.state.load_incident(lead_id) or incident
    if send.kind is Kind.FIRING:
        write_page(lead.incident_id, world)  # so that the link in the alert opens something
    now = world.now()
    announcement = Announcement(
        kind=send.kind,
        incident=lead,
        links=build_links(lead, now, world),
        class_names=get_class_names(lead.endpoint, world),
        companions=tuple(_list_companions(members, send, lead)),
        reason=send.reason,
    )
    try:
        handle = send_message(announcement, claimed, send, world)
    except (DeliveryError, RetryError) as error:
        return _keep_failure(incident, claimed, send, error, world)
    settled, changed = settle(claimed, members, send, world.now(), thread=handle)
    entry = _build_entry(claimed, send, world.now())
    world.alerts.record_told(settled, changed, lambda _: entry)
    told = {one.incident_id for one in changed}
    # An update is in the trail of the incident that brought it; a first word in that of everybody concerned.
    if incident.incident_id in send.shows and incident.incident_id not in told:
        world.state.add_entries(incident.incident_id, [entry])
    get_logger().info(
        "alert_sent", incident_id=lead.incident_id, receiver=claimed.receiver, decision=send.kind.value,
        reason=send.reason, count=len(send.shows),
    )  # fmt: skip
    return None


def _list_companions(members: Sequence[Member], send: Send, lead: Incident) -> Iterator[Companion]:
    by_id = {one.incident_id: one for one in members}
    for incident_id in send.shows:
        if incident_id != lead.incident_id:
            one = by_id[incident_id]
            yield Companion(headline=one.headline, over=one.over, opened_at=one.opened_at)


def _build_entry(ledger: Ledger, send: Send, now: datetime) -> Entry:
    data: dict[str, str | int | float | bool | None] = {
        "receiver": ledger.receiver,
        "kind": send.kind.value,
    }
    if len(send.shows) > 1:
        data["incidents"] = len(send.shows)
    return Entry(at=now, what="alert_sent", reason=send.reason, by=BY, data=data)


def _keep_failure(
    incident: Incident, claimed: Ledger, send: Send, error: DeliveryError | RetryError, world: World
) -> Hold:
    """Remember that the receiver did not take it: what can heal is tried again, the rest is a dead letter."""
    now = world.now()
    free = msgspec.structs.replace(claimed, claimed_until=None, attempts=claimed.attempts + 1)
    data: dict[str, str | int | float | bool | None] = {"receiver": claimed.receiver, "kind": send.kind.value}
    if isinstance(error, RetryError) or error.recoverable:
        seconds = error.after_seconds
        if seconds is None:
            seconds = _BACKOFF[min(claimed.attempts, len(_BACKOFF) - 1)]
        until = now + timedelta(seconds=seconds)
        world.alerts.save_ledger(msgspec.structs.replace(free, retry_at=until))
        world.wakeups.wake(build_due(incident), now, seconds)
        entry = Entry(
            at=now,
            what="alert_delayed",
            reason=error.reason,
            by=BY,
            data={**data, "retry_after_seconds": seconds},
        )
        hold = Hold("receiver_is_down", until)
    else:
        world.alerts.save_ledger(msgspec.structs.replace(free, retry_at=None, refused=send.content))
        world.wakeups.give_up(build_due(incident, forced=True), now, str(error))
        entry = Entry(at=now, what="alert_refused", reason=error.reason, by=BY, data=data)
        hold = Hold("receiver_refused")
    world.state.add_entries(incident.incident_id, [entry])
    get_logger().warning(
        entry.what, incident_id=incident.incident_id, receiver=claimed.receiver, reason=error.reason
    )
    return hold


def _wake_later(incident: Incident, group: Group, hold: Hold, world: World) -> None:
    """Ask to be woken when a group's wait is over; the first who waits asks for all, and writes it down."""
    waiting = [one for one in group.members if one.told is None]
    if hold.reason not in {"group_wait", "group_interval"} or hold.until is None:
        return
    if group.ledger.waits_until != hold.until:
        with contextlib.suppress(ConflictError):  # somebody else was faster, with the same or with news
            world.alerts.save_ledger(build_wait(group.ledger, group.members, hold.until))
    first = min(waiting, key=lambda one: (one.joined_at, one.incident_id))
    left = hold.until - world.now()
    if first.incident_id == incident.incident_id and left <= WAKE_AT_MOST:
        world.wakeups.wake(build_due(incident), world.now(), max(left.total_seconds(), 0))


def _find_due(
    incident: Incident, outcomes: Sequence[Outcome], quiet: Quiet, now: datetime, world: World
) -> datetime | None:
    """When somebody may be owed something next; None: never again, unless the incident changes."""
    over = incident.state is State.RESOLVED
    if incident.staged or (over and all(outcome.settled for outcome in outcomes)):
        return None
    due = [now + REVIEW, *(outcome.until for outcome in outcomes if outcome.until is not None)]
    labels = build_labels(incident)
    mute = find_mute(incident.incident_id, labels, quiet, now)
    if mute is not None:
        due.append(mute.until or now + SOON)
    if incident.cleared_at is not None and not over:
        due.append(incident.cleared_at + world.monitors.flapping.hold)
    if incident.state is State.OPEN:
        later = (
            incident.opened_at + routed.after for routed in decide_receivers(world.monitors.route, labels)
        )
        due += [at for at in later if at > now]
    return min(due)
