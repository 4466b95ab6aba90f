"""What a receiver is told next, and why: pure decisions on what one message about a group has said so far.

Incidents that a route groups share a message. A receiver that was told "firing" of an incident is owed exactly
one "resolved", muted or not. Send, then record: a crash in between repeats a message; none is ever lost.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.finding import Severity, build_content_key
from sagewatch.incident.model import Incident, State
from sagewatch.incident.muting import Mute
from sagewatch.incident.routing import Timers

LARGE_GROUP = 10
"""Members above which a message is changed in place at most once in ``LARGE_GROUP_EVERY``."""

LARGE_GROUP_EVERY = timedelta(seconds=30)


class Kind(enum.StrEnum):
    """What a message says."""

    FIRING = "firing"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REPEATED = "repeated"


class Policy(msgspec.Struct, frozen=True):
    """How a channel can be told.

    Attributes
    ----------
    in_place
        The channel can change a message that it has: news goes there, without a new message. Without it
        (mail) a receiver hears firing, reminders and resolved, and nothing between.
    every
        At least this much time lies between two changes of a message.
    """

    in_place: bool = False
    every: timedelta = timedelta(0)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One incident of a group, as it was last seen, and what the receiver has been told of it.

    Attributes
    ----------
    seen
        Version of the incident that this shows; an older one changes nothing.
    content
        Content key of all that a message says about the incident.
    joined_at
        When it became part of the group.
    told
        None, ``firing``, ``resolved``, or ``spared``: it came and went while muted.
    generation
        The message that told of it.
    """

    incident_id: str
    labels: dict[str, str]
    state: State
    severity: Severity
    headline: str
    opened_at: datetime
    joined_at: datetime
    seen: int
    content: str
    staged: bool = False
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    told: str | None = None
    told_at: datetime | None = None
    generation: int = 0
    version: int = 0

    @property
    def over(self) -> bool:
        """Whether the incident is resolved."""
        return self.state is State.RESOLVED


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The one message that a group has at a receiver's channel.

    Attributes
    ----------
    told
        What the message says: None before the first, ``firing`` or ``resolved``.
    told_at
        When the last message, or change of a message, was sent.
    pinged_at
        When the receiver was last spoken to: a message, no change in place.
    content
        Content key of what was told: an equal key means there is nothing new to tell.
    thread
        The channel's own handle of the message (a Slack timestamp), for updates in place.
    generation
        Counts the messages: after "resolved" the next incident begins another.
    claimed_until
        Somebody is sending right now; after this time it died on the way.
    attempts, retry_at
        Tries in vain since the last success, and when to try again.
    refused
        What the channel refused for good, by its content key.
    """

    group: str
    receiver: str
    told: str | None = None
    told_at: datetime | None = None
    pinged_at: datetime | None = None
    content: str | None = None
    thread: str | None = None
    generation: int = 0
    updates: int = 0
    claimed_until: datetime | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    refused: str | None = None
    version: int = 0


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the receiver now.

    Attributes
    ----------
    kind
        What the message says.
    reason
        Why, as a reason code.
    content
        Content key of what is told; goes into the ledger.
    in_place
        Change the message that the receiver has, if it has one.
    shows
        Incidents that the message is about, the one that speaks first.
    tells
        Those of them of which the receiver hears "firing" or "resolved" by it for the first time.
    """

    kind: Kind
    reason: str
    content: str
    in_place: bool
    shows: tuple[str, ...]
    tells: tuple[str, ...] = ()


class Spare(msgspec.Struct, frozen=True):
    """Nobody need be told of these any more: only the books are to say so.

    Attributes
    ----------
    told
        What the books are to say: ``spared`` of what came and went while muted; ``resolved`` of what the
        message had said before a crash kept it from the books.
    """

    incidents: tuple[str, ...]
    told: str = "spared"
    reason: str = "over_while_muted"


class Hold(msgspec.Struct, frozen=True):
    """Tell nothing now.

    Attributes
    ----------
    reason
        Why, as a reason code.
    until
        Ask again then; None where only a change of an incident can make it worth asking.
    """

    reason: str
    until: datetime | None = None


def build_content(incident: Incident) -> str:
    """The key of all that a message about the incident says: it changes if and only if there is news.

    Growing evidence of a finding that is known is no news: it would change the message with every capture.
    """
    progress = incident.diagnosis
    findings = sorted(f"{one.finding_id}:{one.cleared_at is not None}" for one in incident.findings)
    return build_content_key(
        incident.incident_id,
        incident.state,
        incident.severity,
        incident.acknowledged_by or "",
        *((progress.stage, progress.reason, str(progress.explained)) if progress else ()),
        *findings,
    )


def decide_announcement(
    ledger: Ledger,
    members: Sequence[Member],
    mutes: Mapping[str, Mute],
    now: datetime,
    timers: Timers,
    policy: Policy,
) -> Send | Spare | Hold:
    """What the receiver is told next of a group. Ask again after each Send or Spare until the answer is Hold.

    An incident that ended before the receiver heard of it is told as firing, then as resolved: whoever
    counts alerts counts it, and whoever is woken learns at once that it is over.

    Parameters
    ----------
    mutes
        The incidents that are muted now, by id.
    """
    spared = tuple(one.incident_id for one in members if one.told is None and _went_unheard(one, mutes))
    if spared:
        return Spare(spared)
    fresh = [one for one in members if one.told is None and one.incident_id not in mutes]
    shown = [one for one in members if one.told in {"firing", "resolved"} and _is_current(one, ledger)]
    if ledger.told == Kind.RESOLVED:
        left = tuple(one.incident_id for one in shown if one.told == Kind.FIRING and one.over)
        if left:
            return Spare(left, told=Kind.RESOLVED.value, reason="resolved_with_its_group")
    if ledger.told != Kind.FIRING:
        if fresh:
            return _begin(fresh, now, timers)
        if ledger.told is None or not shown:
            return _hold_muted(members, mutes, "nothing_to_tell")
        return _tell_news(ledger, shown, now, policy, _hold_muted(members, mutes, "already_told"))
    if fresh:
        return _tell_joined(ledger, fresh, shown, now, timers, policy)
    if all(one.over for one in shown):
        return Send(
            kind=Kind.RESOLVED, reason="resolve_owed", content=_key(shown), in_place=policy.in_place,
            shows=_order(shown), tells=tuple(one.incident_id for one in shown if one.told == Kind.FIRING),
        )  # fmt: skip
    audible = [one for one in shown if not one.over and one.incident_id not in mutes]
    if not audible:
        return _hold_muted(members, mutes, "muted")
    again = _decide_again(ledger, audible, shown, now, timers)
    if isinstance(again, Send):
        return again
    rest = _hold_muted(members, mutes, "already_told", again.until)
    return _tell_news(ledger, shown, now, policy, rest)


def settle(
    ledger: Ledger, members: Iterable[Member], send: Send, now: datetime, *, thread: str | None = None
) -> tuple[Ledger, list[Member]]:
    """The ledger, and the members of which something else has been told, after a message went out.

    Parameters
    ----------
    thread
        The channel's handle of the message, where it gave one.
    """
    begins = send.kind is Kind.FIRING and ledger.told != Kind.FIRING
    told = send.kind.value if send.kind in {Kind.FIRING, Kind.RESOLVED} else ledger.told
    generation = ledger.generation + begins
    pings = not (send.kind is Kind.UPDATED or (send.in_place and ledger.thread is not None))
    settled = msgspec.structs.replace(
        ledger,
        told=told,
        told_at=now,
        pinged_at=now if pings else ledger.pinged_at,
        content=send.content,
        thread=thread or (None if begins else ledger.thread),
        generation=generation,
        updates=0 if begins else ledger.updates + (send.kind is Kind.UPDATED),
        claimed_until=None,
        attempts=0,
        retry_at=None,
        refused=None,
    )
    as_what = Kind.RESOLVED if send.kind is Kind.RESOLVED else Kind.FIRING
    changed = [
        msgspec.structs.replace(one, told=as_what.value, told_at=now, generation=generation)
        for one in members
        if one.incident_id in send.tells
    ]
    return settled, changed


def _went_unheard(member: Member, mutes: Mapping[str, Mute]) -> bool:
    return member.over and member.incident_id in mutes


def _is_current(member: Member, ledger: Ledger) -> bool:
    return member.generation == ledger.generation


def _begin(fresh: Sequence[Member], now: datetime, timers: Timers) -> Send | Hold:
    ready = min(one.joined_at for one in fresh) + timers.wait
    if now < ready:
        return Hold("group_wait", ready)
    reason = "resolved_before_told" if all(one.over for one in fresh) else "new_incident"
    shows = _order(fresh)
    return Send(
        kind=Kind.FIRING, reason=reason, content=_key(fresh), in_place=False, shows=shows, tells=shows
    )


def _tell_joined(
    ledger: Ledger,
    fresh: Sequence[Member],
    shown: Sequence[Member],
    now: datetime,
    timers: Timers,
    policy: Policy,
) -> Send | Hold:
    ready = (ledger.told_at or now) + timers.interval
    # A worse one does not wait: the interval is against many of the same.
    worse = max(one.severity.rank for one in fresh) > max((one.severity.rank for one in shown), default=-1)
    if now < ready and not worse:
        return Hold("group_interval", ready)
    everyone = [*fresh, *shown]
    in_place = policy.in_place and ledger.thread is not None
    return Send(
        kind=Kind.UPDATED if in_place else Kind.FIRING,
        reason="worse_incident_joined" if worse else "incident_joined",
        content=_key(everyone),
        in_place=in_place,
        shows=_order(everyone),
        tells=tuple(one.incident_id for one in fresh),
    )


def _decide_again(
    ledger: Ledger, audible: Sequence[Member], shown: Sequence[Member], now: datetime, timers: Timers
) -> Send | Hold:
    """Whether it is time to speak again of something that is known and not over."""
    spoken = ledger.pinged_at or ledger.told_at or now
    waiting = [one for one in audible if one.state is State.OPEN]
    if waiting:
        reason, due = "still_firing", spoken + timers.repeat
    else:
        taken = max((one.acknowledged_at for one in audible if one.acknowledged_at), default=spoken)
        reason, due = "acknowledged_but_open", max(spoken, taken) + timers.remind
    if now < due:
        return Hold("already_told", due)
    return Send(kind=Kind.REPEATED, reason=reason, content=_key(shown), in_place=False, shows=_order(shown))


def _tell_news(
    ledger: Ledger, shown: Sequence[Member], now: datetime, policy: Policy, otherwise: Hold
) -> Send | Hold:
    content = _key(shown)
    if ledger.content == content:
        return otherwise
    if not policy.in_place or ledger.thread is None:
        return Hold("no_new_messages_between", otherwise.until)
    every = max(policy.every, LARGE_GROUP_EVERY if len(shown) > LARGE_GROUP else timedelta(0))
    if ledger.told_at is not None and now < ledger.told_at + every:
        return Hold("updated_too_recently", ledger.told_at + every)
    return Send(kind=Kind.UPDATED, reason="news", content=content, in_place=True, shows=_order(shown))


def _hold_muted(
    members: Sequence[Member], mutes: Mapping[str, Mute], otherwise: str, until: datetime | None = None
) -> Hold:
    """A Hold that says who mutes, and asks again when the first mute or the given time comes."""
    held = [mutes[one.incident_id] for one in members if one.incident_id in mutes and not one.over]
    ends = [end for end in (until, *(mute.until for mute in held)) if end is not None]
    return Hold(held[0].reason if held else otherwise, min(ends, default=None))


def _key(members: Sequence[Member]) -> str:
    return build_content_key(*sorted(one.content for one in members))


def _order(members: Sequence[Member]) -> tuple[str, ...]:
    """The one that speaks first: not over, worst, earliest."""
    ordered = sorted(members, key=lambda one: (one.over, -one.severity.rank, one.opened_at, one.incident_id))
    return tuple(one.incident_id for one in ordered)
