"""One receiver's channel hears what it is still owed of an incident's group: claim, send, record.

A crash between sending and recording repeats a message after the claim has lapsed; none is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.beginning import find_away, find_needless
from sagewatch.alert.content import Announcement, Companion
from sagewatch.alert.lateness import find_member_mute, find_mute_at_end
from sagewatch.alert.outbox import (
    NEWS_WAITS,
    Hold,
    Ledger,
    Member,
    Policy,
    Send,
    Spare,
    build_content,
    decide_announcement,
)
from sagewatch.alert.owed_ends import mark_before_sending
from sagewatch.alert.settling import find_wait, settle, settle_spare
from sagewatch.alert_state import TOLD_TO_THE_END, Group
from sagewatch.errors import (
    ConfigurationError,
    ConflictError,
    DeliveryError,
    RejectedInputError,
    RetryError,
)
from sagewatch.flows.alert_waits import BY, keep_failure, wait_for_receiver, wake_later
from sagewatch.flows.channels import POLICIES, send_message
from sagewatch.flows.evidence import build_links, get_class_names
from sagewatch.flows.incident_page import owe_page
from sagewatch.incident.describe import describe
from sagewatch.incident.ending import name_beside
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Entry, Incident, State
from sagewatch.incident.muting import Mute, Quiet
from sagewatch.incident.routing import Timers, find_after
from sagewatch.observability import get_logger
from sagewatch.world import World

CLAIM = timedelta(seconds=60)  # longer than a channel's timeout and its retries
STILL_MORE = timedelta(minutes=1)
_MORE_TO_COME = frozenset(
    {NEWS_WAITS, "receiver_is_down", "updated_too_recently", "being_sent_by_another", "still_more_to_tell"}
)
"""Reasons of a ``Hold`` after which more may be owed of what was told to its end: only the tick asks again for sure."""
_LOOKS = 3  # at a lead that changes while it is looked at
_MESSAGES_AT_ONCE = 4  # spared, firing, resolved, and one more look


class Target(msgspec.Struct, frozen=True):
    """A receiver's channel that hears of the incident, in which group, how, and by which way through the routes.

    ``rounds`` counts the wake-ups in a row that led here.
    """

    name: str
    group: str
    timers: Timers
    route: str = ""
    rounds: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of one target.

    Attributes
    ----------
    told
        Incidents whose pages have something new to list.
    until
        When to look again.
    settled
        It is owed nothing any more.
    known
        It has been told of the incident, now or before.
    """

    told: tuple[str, ...] = ()
    until: datetime | None = None
    settled: bool = False
    known: bool = False


class _Sight(msgspec.Struct, frozen=True):
    """A message, the incident that speaks in it, and the members as the books will have them."""

    send: Send
    lead: Incident
    members: tuple[Member, ...]


def settle_target(incident: Incident, target: Target, quiet: Quiet, world: World, *, forced: bool) -> Outcome:
    """Send what is due, until there is nothing to send now.

    Parameters
    ----------
    forced
        Read the whole group, whatever this one could learn alone: what another was refused is owed again.
    """
    now = world.now()
    joined = world.alerts.join_group(
        target.group, target.name, _build_member(incident, quiet, now, world, target)
    )
    wait = find_wait(world.alerts.load_ledger(target.group, target.name), joined, now, target.timers)
    if wait is not None and not forced:
        return Outcome(until=wait.until, known=joined.told is not None)
    hold, told = Hold("still_more_to_tell", now + STILL_MORE), set()
    for _ in range(_MESSAGES_AT_ONCE):
        group = world.alerts.load_group(target.group, target.name)
        decision = _decide(group, target, quiet, world)
        if isinstance(decision, Spare):
            _spare(group, decision, world)
            continue
        if isinstance(decision, Hold):
            hold = decision
            wake_later(incident, group, hold, world, target.rounds)
            break
        pause = world.alerts.load_pause(target.name)
        if pause is not None and world.now() < pause:
            wait_for_receiver(incident, group.ledger, pause, world, target.rounds)
            hold = Hold("receiver_is_down", pause)
            break
        try:
            claimed = _claim(group, world)
        except ConflictError:
            continue
        sight = _look_again(incident, claimed, target, quiet, world)
        if sight is None:
            continue
        failed = _send_and_record(incident, claimed, sight, world, target.rounds)
        if failed is not None and failed.reason == "receiver_refused":
            continue  # what was refused is not tried again; what comes after it is
        if failed is not None:
            hold = failed
            break
        told |= {incident.incident_id, sight.send.shows[0]}
    member = world.alerts.load_member(target.group, target.name, incident.incident_id)
    settled = incident.state is State.RESOLVED and member is not None and member.told in TOLD_TO_THE_END
    # As the last message left it, not as it was read before that.
    ledger = world.alerts.load_ledger(target.group, target.name) if settled else group.ledger
    owes_end = _get_policy(target.name).keyed and ledger.digest_open
    # Of what was told to its end one way a crash may leave the mark; a summary is no end of what was perhaps told.
    perhaps = incident.incident_id in ledger.perhaps and member is not None and member.told == "digested"
    settled = settled and hold.reason not in _MORE_TO_COME and not owes_end and not perhaps
    known = member is not None and member.told is not None
    return Outcome(tuple(sorted(told)), hold.until, settled, known)


def _get_policy(target: str) -> Policy:
    return POLICIES[target.rpartition("/")[2]]


def _claim(group: Group, world: World) -> Ledger:
    """The ledger to save next, once nobody else sends; what is refused counts as well for how full the group is."""
    now = world.now()
    claimed = msgspec.structs.replace(
        group.ledger, claimed_until=now + CLAIM, members=len(group.members), counted_at=now
    )
    return world.alerts.save_ledger(claimed)


def _decide(group: Group, target: Target, quiet: Quiet, world: World) -> Send | Spare | Hold:
    ledger, now = group.ledger, world.now()
    if ledger.claimed_until is not None and now < ledger.claimed_until:
        return Hold("being_sent_by_another", ledger.claimed_until)
    mutes = {
        one.incident_id: mute
        for one in group.members
        if (mute := find_member_mute(one, quiet, now) or _find_needless(one, group.ledger, target, world))
    }
    policy = _get_policy(target.name)
    digest = world.monitors.flapping.digest
    decision = decide_announcement(
        ledger, group.members, mutes, now, target.timers, policy, digest, group.unreadable
    )
    waits = ledger.retry_at is not None and now < ledger.retry_at
    if isinstance(decision, Send) and waits:
        return Hold("receiver_is_down", ledger.retry_at)
    return decision


def _find_needless(member: Member, ledger: Ledger, target: Target, world: World) -> Mute | None:
    if (away := find_away(member, ledger, world.monitors.flapping.hold)) is not None:
        return away
    if member.told is not None:
        return None
    after, now = find_after(world.monitors.route, member.labels, target.name), world.now()
    since = None
    if after and ledger.retry_at is not None and now < ledger.retry_at:
        since = now - after  # nothing is sent now: many who wait for one receiver ask for nothing
    elif after:
        since = world.alerts.load_audible_since(member.incident_id)
    return find_needless(member, ledger, after=after, since=since, now=now)


def _look_again(
    incident: Incident, claimed: Ledger, target: Target, quiet: Quiet, world: World
) -> _Sight | None:
    """What is to be sent, from what is known once nobody else can send; None where it is nothing any more.

    Before the claim another may have shown the group a newer incident, or saved one and not shown it yet: what is
    said and what the books will say must be one and the same version.
    """
    for _ in range(_LOOKS):
        group = world.alerts.load_group(target.group, target.name)
        free = msgspec.structs.replace(group.ledger, claimed_until=None, perhaps=claimed.perhaps)
        decision = _decide(msgspec.structs.replace(group, ledger=free), target, quiet, world)
        if not isinstance(decision, Send):
            break
        lead = _load_lead(decision.shows[0], world) or incident
        seen = next(one.seen for one in group.members if one.incident_id == decision.shows[0])
        if lead.version == seen or lead.incident_id != decision.shows[0]:
            return _Sight(decision, lead, group.members)
        world.alerts.join_group(
            target.group, target.name, _build_member(lead, quiet, world.now(), world, target)
        )
    world.alerts.save_ledger(msgspec.structs.replace(claimed, claimed_until=None))
    return None


def _load_lead(incident_id: str, world: World) -> Incident | None:
    """None where it cannot be read: another of the group speaks for all, with its line among the others."""
    try:
        return world.state.load_incident(incident_id)
    except RejectedInputError as error:
        get_logger().warning("incident_unreadable", where=error.where, key=error.key)
        return None


def _build_member(incident: Incident, quiet: Quiet, now: datetime, world: World, target: Target) -> Member:
    labels, over, ended = build_labels(incident), incident.resolved_at, incident.ended_muted
    if over is not None and ended is None:  # an older version ended it, or nobody could read what mutes
        ended = find_mute_at_end(incident.incident_id, labels, over, quiet) is not None
    description = describe(incident.latest, get_class_names(incident.endpoint, world))
    return Member(
        incident_id=incident.incident_id,
        labels=labels,
        state=incident.state,
        severity=incident.severity,
        headline=name_beside(incident, description),
        opened_at=incident.opened_at,
        joined_at=now,
        seen=incident.version,
        content=build_content(incident),
        cleared_at=incident.cleared_at if over is None else None,
        resolved_at=over,
        ended_muted=ended,
        acknowledged_at=incident.acknowledged_at,
        flapping=incident.flapping,
        route=target.route,
        timers=target.timers,
    )


def _spare(group: Group, spare: Spare, world: World) -> None:
    ledger, spared = settle_spare(group.ledger, group.members, spare)
    entry = Entry(
        at=world.now(),
        what="alert_spared",
        reason=spare.reason,
        by=BY,
        data={"receiver": ledger.receiver},
    )
    world.alerts.record_told(ledger, spared, lambda _: entry)


def _send_and_record(
    incident: Incident, claimed: Ledger, sight: _Sight, world: World, rounds: int
) -> Hold | None:
    """None where it went out, else when to try again."""
    send, lead, members = sight.send, sight.lead, sight.members
    # Not every message changes what the incident is: without this mark, whoever dies leaves a page that does not list it.
    for incident_id in sorted({incident.incident_id, lead.incident_id}):
        owe_page(incident_id, world)
    now = world.now()
    announcement = Announcement(
        kind=send.kind,
        incident=lead,
        links=build_links(lead, now, world),
        class_names=get_class_names(lead.endpoint, world),
        companions=tuple(_list_companions(members, send, lead)),
        reason=send.reason,
        severity_before=next(
            (one.told_severity for one in members if one.incident_id == lead.incident_id and one.worsened),
            None,
        ),
    )
    # Whoever dies before the books say more leaves the mark behind; whoever learns that it was not taken takes it back.
    marked = mark_before_sending(claimed, members, send, _get_policy(claimed.receiver))
    if marked != claimed:
        marked = world.alerts.save_ledger(marked)
    try:
        handle = send_message(announcement, marked, send, world)
    except (DeliveryError, RetryError, ConfigurationError) as error:
        unmarked = msgspec.structs.replace(claimed, version=marked.version)
        return keep_failure(incident, unmarked, marked, send, error, world, rounds)
    settled, changed = settle(marked, members, send, world.now(), thread=handle)
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
            yield Companion(
                incident_id=incident_id,
                headline=one.headline,
                state=one.state,
                severity=one.severity,
                opened_at=one.opened_at,
            )


def _build_entry(ledger: Ledger, send: Send, now: datetime) -> Entry:
    data: dict[str, str | int | float | bool | None] = {
        "receiver": ledger.receiver,
        "kind": send.kind.value,
    }
    if len(send.shows) > 1:
        data["incidents"] = len(send.shows)
    return Entry(at=now, what="alert_sent", reason=send.reason, by=BY, data=data)
