"""The books of the outbox: what one message about a group has said, and what can be decided on it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.finding import Severity, build_content_key
from sagewatch.incident.model import State
from sagewatch.incident.routing import Timers


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
        return self.told == Kind.FIRING and known is not None and self.severity.rank > known.rank


class Refusal(msgspec.Struct, frozen=True):
    """A message that the channel refused for good: it is not tried again as it is, but for reminders.

    Attributes
    ----------
    content
        Its content key.
    incidents
        Whom it was about, of whom a dead letter each was kept.
    """

    content: str
    at: datetime
    incidents: tuple[str, ...] = ()


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
    perhaps
        Incidents that may have been heard of, as somebody who died, or got no answer, was about to tell of them for the
        first time; with the generation of the message that told.
    waits_until, waits_rank
        Until when the message waits, so that who joins meanwhile need not read the whole group; those of a
        worse rank do not wait.
    digested_at, digest_open
        When what comes and goes was last summed up, and whether the end of that was told.
    attempts, retry_at
        Tries in vain since the last success, and when to try again.
    refusals
        What the channel refused for good since it last took a message, the last of each sort (``get_sort``).
    members
        Incidents that were stored with the group when it was last told of, over or not.
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
    waits_until: datetime | None = None
    waits_rank: int = 0
    attempts: int = 0
    retry_at: datetime | None = None
    refusals: dict[str, Refusal] = {}
    members: int = 0
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
    generation, thread
        The message that it is about, and the handle of that, where it is not the one that the books go on with.
    """

    kind: Kind
    reason: str
    content: str
    in_place: bool
    shows: tuple[str, ...]
    tells: tuple[str, ...] = ()
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


def get_sort(send: Send) -> str:
    """What sort of message it is: of each there is one at a time that may be refused, so they are few."""
    if send.generation is not None:
        return f"{send.reason}-{send.generation}"
    return send.reason if send.kind is Kind.RESOLVED else send.kind.value


def is_refused(send: Send, ledger: Ledger) -> bool:
    """Whether the channel refused this very message; a reminder has its own time, and is tried again then."""
    refusal = ledger.refusals.get(get_sort(send))
    return send.kind is not Kind.REPEATED and refusal is not None and refusal.content == send.content


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
    """Their ids, the one that speaks first: not over, worst, earliest."""
    ordered = sorted(members, key=lambda one: (one.over, -one.severity.rank, one.opened_at, one.incident_id))
    return tuple(one.incident_id for one in ordered)
