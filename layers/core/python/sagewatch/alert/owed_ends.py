"""Which ends are owed that no open message will tell: of what was left behind, and of what was perhaps told.

Whoever was told "firing" of an incident is told once that it ended, muted or not. Mostly the message that told of it
says so. It cannot where it ended for the others while this one was muted, and where nobody knows whether it went out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from sagewatch.alert.beginning import NEEDLESS
from sagewatch.alert.ledger import (
    Kind,
    Ledger,
    Member,
    Policy,
    Send,
    Spare,
    build_key,
    is_current,
    is_left_behind,
    order_members,
)
from sagewatch.alert.summaries import FLAPPING, count_summed
from sagewatch.incident.muting import Mute

PERHAPS_TOLD = "perhaps_told"
"""Reason of an end that is owed because somebody who died may have told of the beginning."""

OWED_ALONE = "resolve_owed_alone"
"""Reason of an end that is told after the message that told of the beginning had ended without it."""


def find_lost(ledger: Ledger, members: Sequence[Member], mutes: Mapping[str, Mute]) -> list[Member]:
    """What is over and was perhaps told as firing, by a word that the books do not know, and will be told by no other.

    What is over and neither muted nor coming and going is told as both, perhaps again.
    """
    return [
        one
        for one in members
        if one.over
        and one.incident_id in ledger.perhaps
        and (
            (one.told is None and (one.flapping or one.incident_id in mutes))
            or one.told == "digested"
            or is_left_behind(one, ledger)
        )
    ]


def list_owed_ends(
    ledger: Ledger,
    members: Sequence[Member],
    mutes: Mapping[str, Mute],
    lost: Sequence[Member],
    policy: Policy,
    *,
    begins: bool,
) -> Iterator[Send | Spare]:
    """The ends to tell, or to write off, beside the message that is open.

    Parameters
    ----------
    lost
        What ``find_lost`` found.
    begins
        Somebody is about to begin a message.
    """
    untold = [
        one.incident_id
        for one in members
        if one.told is None
        and one.over
        and one.incident_id in mutes
        and one.incident_id not in ledger.perhaps
    ]
    if counted := tuple(name for name in untold if name in ledger.summed):
        yield Spare(counted, told="digested", reason=FLAPPING)
    # What ended unmuted, and waited for its word, goes on waiting: the mute that has begun since takes nothing from anybody.
    left_alone = [name for name in untold if name not in ledger.summed and not mutes[name].late]
    if spared := tuple(name for name in left_alone if mutes[name].reason not in NEEDLESS):
        yield Spare(spared)
    for reason in sorted(NEEDLESS):
        if spared := tuple(name for name in left_alone if mutes[name].reason == reason):
            yield Spare(spared, reason=reason)
    open_now = ledger.generation if ledger.told == Kind.FIRING else None
    if joined := tuple(one.incident_id for one in lost if ledger.perhaps[one.incident_id] == open_now):
        # The group's message is firing, and may say so: its end is theirs.
        yield Spare(joined, told=Kind.FIRING.value, reason=PERHAPS_TOLD)
    left = [
        one
        for one in members
        if one.over and one.incident_id not in ledger.perhaps and is_left_behind(one, ledger)
    ]
    if policy.keyed:
        closed = [one for one in lost if ledger.perhaps[one.incident_id] <= ledger.generation]
        if ids := tuple(one.incident_id for one in (*closed, *left)):
            yield Spare(ids, told="closed", reason="resolved_with_its_group")
    yield from _list_lost(ledger, members, lost, policy, begins=begins)
    yield from _list_left(ledger, members, left, policy)


def _list_lost(
    ledger: Ledger, members: Sequence[Member], lost: Sequence[Member], policy: Policy, *, begins: bool
) -> Iterator[Send]:
    """Ends of what may have been told: once too often is better than an alert that nobody ever ends."""
    for generation in sorted({ledger.perhaps[one.incident_id] for one in lost}):
        # Under one key with what still fires, or is about to be told: that end is theirs.
        shared = begins or any(
            not one.over and ledger.perhaps.get(one.incident_id) == generation for one in members
        )
        if policy.keyed and shared:
            continue
        ended = [one for one in lost if ledger.perhaps[one.incident_id] == generation]
        tells = order_members(ended)
        yield Send(
            kind=Kind.RESOLVED, reason=PERHAPS_TOLD, content=build_key(ended), in_place=False,
            shows=tells, tells=tells, generation=generation,
        )  # fmt: skip


def _list_left(
    ledger: Ledger, members: Sequence[Member], left: Sequence[Member], policy: Policy
) -> Iterator[Send]:
    """Ends of what was left behind: in the message that told of it where that can change, else in one that names no other."""
    for generation in sorted({one.generation for one in left}):
        ended = [one for one in left if one.generation == generation]
        others = [one for one in members if one.told == Kind.RESOLVED and one.generation == generation]
        tells = order_members(ended)
        yield Send(
            kind=Kind.RESOLVED,
            reason=OWED_ALONE,
            content=build_key([*ended, *others]),
            in_place=policy.in_place,
            shows=(*tells, *order_members(others)) if policy.in_place else tells,
            tells=tells,
            generation=generation,
            thread=ledger.thread if is_current(ended[0], ledger) else ended[0].thread,
        )


def mark_before_sending(ledger: Ledger, members: Sequence[Member], send: Send, policy: Policy) -> Ledger:
    """The ledger that says, right before a message goes out, what it may have said should nobody learn what came of it.

    Whom it is the first word of, with its generation; of a summary, where a key keeps it open, whom it counts. A summary is
    the first word of nothing, and an end neither: nobody is owed the end of what they count.
    """
    if send.kind is Kind.DIGEST:
        return count_summed(ledger, members, send) if policy.keyed else ledger
    if send.kind is Kind.RESOLVED:
        return ledger
    begins = ledger.told != Kind.FIRING
    words = dict.fromkeys(send.tells, ledger.generation + begins)
    return msgspec.structs.replace(ledger, perhaps={**ledger.perhaps, **words})
