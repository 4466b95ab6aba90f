"""The books of the outbox: what one message about a group has said, and what can be decided on it."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.finding import Severity, build_content_key
from sagewatch.incident.model import State
from sagewatch.incident.routing import Timers

REFUSALS_KEPT = 50
"""Refused messages that a group's ledger remembers, the newest: far more than are ever owed at a time."""


class Kind(enum.StrEnum):
    """What a message says."""

    FIRING = "firing"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REPEATED = "repeated"
    WORSENED = "worsened"
    DIGEST = "digest"


class Policy(msgspec.Struct, frozen=True):
    """How a channel can be told.

    Attributes
    ----------
    in_place
        The channel can change a message that it has: news goes there, without a new message. Without it
        (mail) a receiver hears firing, reminders and resolved, and nothing between.
    every
        At least this much time lies between two changes of a message.
    keyed
        What it is told under a key stays open there until it is told of the end, a summary too.
    """

    in_place: bool = False
    keyed: bool = False
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
        None, ``firing``, ``resolved``, ``digested`` (summed up), ``spared`` (it came and went muted), or ``closed``
        (what told of it, or may have, had been closed by its key).
    flapping
        Its fingerprint opens too often: it is summed up.
    ended_muted
        Whether something muted it as it ended: if not, what it is owed outlives whatever mutes it afterwards. None while
        it is not over, or where an older version stored it.
    cleared_at
        Since when its evidence is away, where it is not over and may come back.
    told_content
        ``content`` as it was then.
    told_severity
        The severity that the receiver was last spoken to about; a worse one is worth another word.
    generation, thread
        The message that told of it, and the channel's handle of that.
    route, timers
        The way through the routes that led to the receiver, and how it hears by it; None where an older version
        stored it.
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
    flapping: bool = False
    ended_muted: bool | None = None
    cleared_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    told: str | None = None
    told_at: datetime | None = None
    told_content: str | None = None
    told_severity: Severity | None = None
    generation: int = 0
    thread: str | None = None
    route: str = ""
    timers: Timers | None = None
    version: int = 0

    @property
    def over(self) -> bool:
        """Whether the incident is resolved."""
        return self.state is State.RESOLVED

    @property
    def worsened(self) -> bool:
        """Whether it is worse than the receiver has heard."""
        known = self.told_severity
        told = self.told in {Kind.FIRING, "digested"}
        return told and known is not None and self.severity.rank > known.rank


class Refusal(msgspec.Struct, frozen=True):
    """A message, by its content key, that the channel refused for good: it is not tried again, but for reminders."""

    content: str
    at: datetime


# What an older version stored as "refused" was another thing: the content of one message.
class Ledger(msgspec.Struct, frozen=True, kw_only=True, rename={"refused": "refused_of"}):
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
    perhaps
        Incidents that may have been heard of, as somebody who died, or got no answer, was about to tell of them for the
        first time; with the generation of the message that told.
    waits_until, waits_rank
        Until when the message waits, so that who joins meanwhile need not read the whole group; those of a
        worse rank do not wait.
    digested_at, digest_open
        When what comes and goes was last summed up; whether a channel that is told by key has, or may have, a summary
        open.
    summed
        Whom that one counts, those that are over by now and were in an earlier one not among them.
    attempts, retry_at
        Tries in vain since the last success, and when to try again.
    refusals
        What the channel refused for good since it last took a message, or somebody sent a dead letter again
        (``get_refusal_key``).
    refused
        Whom that was about, and has not heard of since: whether there is a dead letter of its own. Each letter brings
        all of the group, so it is kept once for all words before the end, and once for the end.
    ended
        Those of them whose end was refused. A letter of before may have been purged; an end is owed all the same.
    members, counted_at
        Incidents that were stored with the group when somebody last was about to tell of it, over or not; and when.
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
    perhaps: dict[str, int] = {}
    digested_at: datetime | None = None
    digest_open: bool = False
    summed: tuple[str, ...] = ()
    waits_until: datetime | None = None
    waits_rank: int = 0
    attempts: int = 0
    retry_at: datetime | None = None
    refusals: dict[str, Refusal] = {}
    refused: dict[str, bool] = {}
    ended: tuple[str, ...] = ()
    members: int = 0
    counted_at: datetime | None = None
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
    about
        Those that it is sent for, where they are more than ``tells``.
    generation, thread
        The message that it is about, and the handle of that, where it is not the one that the books go on with.
    """

    kind: Kind
    reason: str
    content: str
    in_place: bool
    shows: tuple[str, ...]
    tells: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    generation: int | None = None
    thread: str | None = None


class Spare(msgspec.Struct, frozen=True):
    """Nobody need be told of these any more: only the books are to say so.

    Attributes
    ----------
    told
        What the books are to say: ``spared`` of what came and went while muted; ``firing`` of what the message may have
        said before a crash kept it from the books; ``closed`` of what ended after its key had been closed.
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
    first
        The incident that asks for all who wait for company.
    """

    reason: str
    until: datetime | None = None
    first: str | None = None


def get_refusal_key(send: Send) -> str:
    """What is the same message if it is refused: reminders are one, of others each reason and content is its own."""
    if send.kind is Kind.REPEATED:
        return send.kind.value
    return f"{send.reason}-{send.generation or 0}-{send.content}"


def is_refused(send: Send, ledger: Ledger) -> bool:
    """Whether the channel refused this very message; a reminder has its own time, and is tried again then."""
    return send.kind is not Kind.REPEATED and get_refusal_key(send) in ledger.refusals


def note_refusal(
    ledger: Ledger, send: Send, at: datetime, concerned: Sequence[str], letters: Sequence[str]
) -> Ledger:
    """The ledger after a message was refused for good.

    Parameters
    ----------
    concerned, letters
        Incidents that it was about, and of which a dead letter was kept now.
    """
    key = get_refusal_key(send)
    others = sorted(
        ((name, one) for name, one in ledger.refusals.items() if name != key), key=lambda one: one[1].at
    )
    refusals = dict([*others[1 - REFUSALS_KEPT :], (key, Refusal(send.content, at))])
    refused = {**dict.fromkeys(concerned, False), **ledger.refused, **dict.fromkeys(letters, True)}
    over = concerned if send.kind is Kind.RESOLVED else ()
    ended = tuple(dict.fromkeys((*ledger.ended, *over)))
    return msgspec.structs.replace(ledger, refusals=refusals, refused=refused, ended=ended)


def list_without_letter(ledger: Ledger, send: Send, concerned: Sequence[str]) -> list[str]:
    """Of whom no letter was kept that stands for this message: one of before its end does not stand for an end."""
    if send.kind is Kind.RESOLVED:
        return [name for name in concerned if name not in ledger.ended]
    return [name for name in concerned if name not in ledger.refused]


def forget_refused(ledger: Ledger, names: Collection[str], *, kept: bool = False) -> Ledger:
    """The ledger without what was refused of some.

    Parameters
    ----------
    kept
        Of the others only those stay that have a dead letter, which is still to be sent again.
    """
    refused = {
        name: has_letter
        for name, has_letter in ledger.refused.items()
        if name not in names and (has_letter or not kept)
    }
    ended = tuple(name for name in ledger.ended if name in refused)
    return msgspec.structs.replace(ledger, refused=refused, ended=ended)


def is_current(member: Member, ledger: Ledger) -> bool:
    """Whether the message that the books go on with is the one that told of it."""
    return member.generation == ledger.generation


def is_left_behind(member: Member, ledger: Ledger) -> bool:
    """Whether the message that told of it has ended without it: it was muted, and the others were over."""
    ended = ledger.told != Kind.FIRING or not is_current(member, ledger)
    return member.told == Kind.FIRING and ended


def build_key(members: Sequence[Member]) -> str:
    """The content key of a message about these."""
    return build_content_key(*sorted(one.content for one in members))


def order_members(members: Sequence[Member]) -> tuple[str, ...]:
    """Their ids, the one that speaks first: not over, not away, looked after by nobody, worst, earliest."""
    ordered = sorted(
        members,
        key=lambda one: (
            one.over, one.cleared_at is not None, one.state is not State.OPEN, -one.severity.rank, one.opened_at,
            one.incident_id,
        ),
    )  # fmt: skip
    return tuple(one.incident_id for one in ordered)
