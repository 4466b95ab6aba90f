"""What the books say after a message went out, and what a group that waits lets its members know."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from sagewatch.alert.ledger import Hold, Kind, Ledger, Member, Send, Spare, forget_refused, is_current
from sagewatch.alert.owed_ends import PERHAPS_TOLD
from sagewatch.alert.summaries import DIGEST_OVER
from sagewatch.finding import Severity
from sagewatch.incident.model import State
from sagewatch.incident.routing import Timers


def settle(
    ledger: Ledger, members: Iterable[Member], send: Send, now: datetime, *, thread: str | None = None
) -> tuple[Ledger, list[Member]]:
    """The ledger, and the members of which something else has been told, after a message went out.

    Parameters
    ----------
    ledger
        As it was marked before the message went out.
    thread
        The channel's handle of the message, where it gave one.
    """
    members = tuple(members)
    left = ledger.perhaps
    if send.kind is not Kind.DIGEST:
        # The end of what a summary counts is still owed to whoever may have been told of it before.
        left = {name: generation for name, generation in left.items() if name not in send.tells}
    ledger = msgspec.structs.replace(
        ledger,
        claimed_until=None,
        perhaps=left,
        attempts=0,
        retry_at=None,
        refusals={},
    )
    ledger = forget_refused(ledger, send.shows, kept=True)
    if send.kind is Kind.DIGEST:
        summed = msgspec.structs.replace(ledger, digested_at=now)
        return summed, _note_told(members, send, "digested", now, 0, None)
    if send.reason == DIGEST_OVER:
        return msgspec.structs.replace(ledger, digest_open=False, summed=()), []
    if send.generation is not None:
        return _settle_owed_end(ledger, members, send, now, thread)
    begins = send.kind is Kind.FIRING and ledger.told != Kind.FIRING
    told = send.kind.value if send.kind in {Kind.FIRING, Kind.RESOLVED} else ledger.told
    generation = ledger.generation + begins
    pings = send.kind is Kind.WORSENED or not (
        send.kind is Kind.UPDATED or (send.in_place and ledger.thread is not None)
    )
    settled = msgspec.structs.replace(
        ledger,
        told=told,
        told_at=now,
        pinged_at=now if pings else ledger.pinged_at,
        content=send.content,
        thread=thread or (None if begins else ledger.thread),
        generation=generation,
        updates=0 if begins else ledger.updates + (send.kind is Kind.UPDATED),
        waits_until=None,
    )
    as_what = Kind.RESOLVED if send.kind is Kind.RESOLVED else Kind.FIRING
    shown = set(send.shows) if pings else set()
    # What is away was not told as worse: it is once it is back.
    worse = (one.incident_id for one in members if one.worsened and one.cleared_at is None)
    risen = shown.intersection(worse)
    return settled, _note_told(members, send, as_what.value, now, generation, settled.thread, risen)


def _settle_owed_end(
    ledger: Ledger, members: tuple[Member, ...], send: Send, now: datetime, thread: str | None
) -> tuple[Ledger, list[Member]]:
    """The message that is open stays as it is; the last one that has ended says what it says now."""
    if send.reason == PERHAPS_TOLD:
        # Of a message that the books do not know: its members are no part of any other.
        return ledger, _note_told(members, send, Kind.RESOLVED.value, now, 0, None)
    generation = send.generation or 0
    if generation == ledger.generation and ledger.told == Kind.RESOLVED:
        ledger = msgspec.structs.replace(
            ledger, told_at=now, content=send.content, thread=thread or ledger.thread
        )
    return ledger, _note_told(members, send, Kind.RESOLVED.value, now, generation, thread)


def settle_spare(ledger: Ledger, members: Iterable[Member], spare: Spare) -> tuple[Ledger, list[Member]]:
    """The ledger, and the members as the books have them, of which nobody need be told any more."""
    left = {name: number for name, number in ledger.perhaps.items() if name not in spare.incidents}
    # What was over only after its message had ended is no part of it: no news for that message.
    generation = ledger.generation if spare.told == Kind.FIRING else 0
    spared = [
        msgspec.structs.replace(one, told=spare.told, generation=generation)
        for one in members
        if one.incident_id in spare.incidents
    ]
    return forget_refused(msgspec.structs.replace(ledger, perhaps=left), spare.incidents), spared


def _note_told(
    members: Iterable[Member], send: Send, told: str, now: datetime, generation: int, thread: str | None,
    also: AbstractSet[str] = frozenset(),
) -> list[Member]:  # fmt: skip
    told_of = also | set(send.tells)
    return [
        msgspec.structs.replace(
            one,
            told=told,
            told_at=now,
            told_content=one.content,
            told_severity=one.severity,
            generation=generation,
            thread=thread,
        )
        for one in members
        if one.incident_id in told_of
    ]


def find_wait(ledger: Ledger, member: Member, now: datetime, timers: Timers) -> Hold | None:
    """What a member learns from the ledger alone: the group waits, or all of this one was told; None: read on.

    Of a thousand incidents that come at once, one reads the whole group.
    """
    if member.told == Kind.FIRING and member.told_content == member.content and member.state is State.OPEN:
        known = ledger.told == Kind.FIRING and is_current(member, ledger) and ledger.retry_at is None
        again = ledger.pinged_at + timers.repeat if known and ledger.pinged_at else now
        return Hold("already_told", again) if now < again else None
    if ledger.waits_until is None or now >= ledger.waits_until or member.told is not None:
        return None
    if member.severity.rank > ledger.waits_rank:
        return None
    return Hold("group_waits", ledger.waits_until)


def build_wait(ledger: Ledger, members: Iterable[Member], until: datetime) -> Ledger:
    """The ledger of a group that waits."""
    told = [one for one in members if one.told == Kind.FIRING and is_current(one, ledger)]
    known = [
        (one.told_severity or one.severity).rank for one in told
    ]  # what was said, whatever it has become
    begun = ledger.told == Kind.FIRING
    rank = max(known, default=-1) if begun else max(severity.rank for severity in Severity)
    return msgspec.structs.replace(ledger, waits_until=until, waits_rank=rank)
