"""What a receiver is told next, and why: pure decisions on what one message about a group has said so far.

Incidents that a route groups share a message. A receiver that was told "firing" of an incident is owed exactly one
"resolved", muted or not: with the message that told of it, or alone where that has ended already
(``alert.owed_ends``). Send, then record (``alert.settling``): a crash in between repeats a message; none is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.ledger import (
    Hold,
    Kind,
    Ledger,
    Member,
    Policy,
    Send,
    Spare,
    build_key,
    is_current,
    is_left_behind,
    is_refused,
    order_members,
)
from sagewatch.alert.owed_ends import find_lost, list_owed_ends
from sagewatch.alert.summaries import decide_end_of_summary, decide_summary, find_turn, is_summed_up
from sagewatch.finding import build_content_key
from sagewatch.incident.model import Incident, State
from sagewatch.incident.muting import Mute
from sagewatch.incident.routing import Timers

__all__ = [
    "Hold",
    "Kind",
    "Ledger",
    "Member",
    "Policy",
    "Send",
    "Spare",
    "build_content",
    "decide_announcement",
]

LARGE_GROUP = 10
"""Members above which a message is changed in place at most once in ``LARGE_GROUP_EVERY``."""

LARGE_GROUP_EVERY = timedelta(seconds=30)

NEWS_WAITS = "news_waits_for_the_mute"
"""Reason of a ``Hold``: the end was told, and what was found since waits until nobody mutes it."""

UNREADABLE = "member_unreadable"
"""Reason of a ``Hold``: a key is not closed while nobody can read all that it stands for."""


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
    digest: timedelta = timedelta(hours=6),
    unreadable: bool = False,
) -> Send | Spare | Hold:
    """What the receiver is told next of a group. Ask again after each Send or Spare until the answer is Hold.

    An incident that ended before the receiver heard of it is told as firing, then as resolved: whoever
    counts alerts counts it, and whoever is woken learns at once that it is over.
    What was refused for good keeps nothing else from being told.

    Parameters
    ----------
    mutes
        The incidents that are muted now, by id.
    digest
        How often what comes and goes is summed up.
    unreadable
        Somebody belongs to the group of whom nothing is known: its key is not closed over them.
    """
    refused = withheld = False
    for decision in _list_decisions(ledger, members, mutes, now, timers, policy, digest):
        if unreadable and policy.keyed and isinstance(decision, Send) and decision.kind is Kind.RESOLVED:
            withheld = True
        elif isinstance(decision, Send) and is_refused(decision, ledger):
            refused = True
        elif isinstance(decision, Hold) and decision.until is None and (refused or withheld):
            break
        else:
            return decision
    return Hold(UNREADABLE if withheld else "receiver_refused")


def _list_decisions(
    ledger: Ledger,
    members: Sequence[Member],
    mutes: Mapping[str, Mute],
    now: datetime,
    timers: Timers,
    policy: Policy,
    digest: timedelta,
) -> Iterator[Send | Spare | Hold]:
    """The next decision first; after a Send what comes next where the receiver refuses that."""
    lost = find_lost(ledger, members, mutes)
    unheard = [
        one
        for one in members
        if one.incident_id not in mutes and one not in lost and _is_unheard(one, ledger, now, digest)
    ]
    fresh = [one for one in unheard if not is_summed_up(one, now, digest)]
    summed = [one for one in unheard if is_summed_up(one, now, digest)]
    summary = decide_summary(ledger, members, summed, now, timers, digest)
    if isinstance(summary, Send):
        yield summary
    yield from list_owed_ends(ledger, members, mutes, lost, policy, begins=bool(fresh))
    if policy.keyed and (end := decide_end_of_summary(ledger, members)) is not None:
        yield end
    for decision in _list_of_message(ledger, members, mutes, fresh, now, timers, policy):
        yield _wait_no_longer(decision, find_turn(summary, members, now, digest))


def _list_of_message(
    ledger: Ledger,
    members: Sequence[Member],
    mutes: Mapping[str, Mute],
    fresh: Sequence[Member],
    now: datetime,
    timers: Timers,
    policy: Policy,
) -> Iterator[Send | Hold]:
    """What the one message of the group says next."""
    told = [one for one in members if one.told in {"firing", "resolved"} and is_current(one, ledger)]
    shown = [one for one in told if not is_left_behind(one, ledger)]
    if ledger.told == Kind.FIRING:
        yield from _list_while_firing(ledger, members, mutes, fresh, shown, now, timers, policy)
    elif fresh:
        yield _begin(fresh, now, timers)
    elif ledger.told is None or not shown:
        yield _hold_muted(members, mutes, "nothing_to_tell")
    else:
        yield _decide_after_the_end(ledger, members, mutes, shown, now, policy)


def _wait_no_longer(decision: Send | Hold, turn: datetime | None) -> Send | Hold:
    """The decision, asked again when what is summed up has its turn; who waits for company has a time of their own."""
    if not isinstance(decision, Hold) or decision.first is not None:
        return decision
    ends = [until for until in (decision.until, turn) if until is not None]
    return msgspec.structs.replace(decision, until=min(ends, default=None))


def _decide_after_the_end(
    ledger: Ledger, members: Sequence[Member], mutes: Mapping[str, Mute], shown: Sequence[Member],
    now: datetime, policy: Policy,
) -> Send | Hold:  # fmt: skip
    silent = [mutes[one.incident_id] for one in shown if one.incident_id in mutes]
    if silent:
        # The end was owed; what a diagnosis found since is not, while any of them is muted.
        return (
            Hold(NEWS_WAITS, silent[0].until) if ledger.content != build_key(shown) else Hold("already_told")
        )
    return _tell_news(ledger, shown, now, policy, _hold_muted(members, mutes, "already_told"))


def _list_while_firing(
    ledger: Ledger,
    members: Sequence[Member],
    mutes: Mapping[str, Mute],
    fresh: Sequence[Member],
    shown: Sequence[Member],
    now: datetime,
    timers: Timers,
    policy: Policy,
) -> Iterator[Send | Hold]:
    """What follows a message that says "firing": what is muted is left out of it, but for the end that is owed."""
    loud = [one for one in shown if one.incident_id not in mutes]
    audible = [one for one in loud if not one.over]
    worsened = [one for one in audible if one.worsened and one.cleared_at is None]
    if worsened:
        yield _tell_worsened(worsened, fresh, loud, policy)
    withheld = [one for one in shown if one.incident_id in mutes and not one.over]
    everyone = [*fresh, *(one for one in shown if one not in withheld)]
    over = all(one.over for one in everyone)
    if fresh and not (over and policy.in_place and ledger.thread is not None):
        yield _tell_joined(ledger, fresh, loud, shown, now, timers, policy)
        # Refused: who was told before is owed the end all the same, and nobody an end of what was not told.
        everyone = [one for one in everyone if one not in fresh]
        over = all(one.over for one in everyone)
    # Who joined and is over, too, is in the last word of a message that can change: one end, not two. Whoever is
    # muted withholds no end from those who are not, but keeps open what told of nobody else, and a key, which would
    # say of all that shares it that it is over.
    if everyone and over and not (withheld and (policy.keyed or not loud)):
        yield Send(
            kind=Kind.RESOLVED, reason="resolve_owed", content=build_key(everyone), in_place=policy.in_place,
            shows=order_members(everyone), tells=tuple(one.incident_id for one in everyone if one.told != "resolved"),
        )  # fmt: skip
    if not audible:
        yield _hold_muted(members, mutes, "muted")
        return
    again = _decide_again(ledger, audible, loud, now, timers)
    if isinstance(again, Send):
        yield again
        return
    rest = _hold_muted(members, mutes, "already_told", again.until)
    # That something became muted is no news: the message that shows it stays until there is some.
    # Nor is a rise that was refused: it would be told as news, quietly.
    known = ledger.content == build_key(shown) or worsened
    yield rest if known else _tell_news(ledger, loud, now, policy, rest)
    yield rest


def _is_unheard(member: Member, ledger: Ledger, now: datetime, digest: timedelta) -> bool:
    if is_left_behind(member, ledger):
        return not member.over
    if member.told == "digested":
        return not member.over and (member.worsened or not is_summed_up(member, now, digest))
    return member.told is None


def _begin(fresh: Sequence[Member], now: datetime, timers: Timers) -> Send | Hold:
    ready = min(one.joined_at for one in fresh) + timers.wait
    if now < ready:
        return Hold("group_wait", ready, _find_first(fresh))
    reason = "resolved_before_told" if all(one.over for one in fresh) else "new_incident"
    if all(one.told == Kind.FIRING for one in fresh):
        reason = "still_firing_unmuted"
    shows = order_members(fresh)
    return Send(
        kind=Kind.FIRING, reason=reason, content=build_key(fresh), in_place=False, shows=shows, tells=shows
    )


def _find_first(fresh: Sequence[Member]) -> str:
    return min(fresh, key=lambda one: (one.joined_at, one.incident_id)).incident_id


def _tell_joined(
    ledger: Ledger,
    fresh: Sequence[Member],
    loud: Sequence[Member],
    shown: Sequence[Member],
    now: datetime,
    timers: Timers,
    policy: Policy,
) -> Send | Hold:
    ready = (ledger.told_at or now) + timers.interval
    # A worse one does not wait: the interval is against many of the same. What the message told of counts, muted or not.
    known = max(((one.told_severity or one.severity).rank for one in shown), default=-1)
    worse = max(one.severity.rank for one in fresh) > known
    if now < ready and not worse:
        return Hold("group_interval", ready, _find_first(fresh))
    everyone = [*fresh, *loud]
    in_place = policy.in_place and ledger.thread is not None
    return Send(
        # A change in place wakes nobody: a worse one speaks up.
        kind=(Kind.WORSENED if worse else Kind.UPDATED) if in_place else Kind.FIRING,
        reason="worse_incident_joined" if worse else "incident_joined",
        content=build_key(everyone),
        in_place=in_place,
        shows=order_members(everyone),
        tells=tuple(one.incident_id for one in fresh),
    )


def _tell_worsened(
    worsened: Sequence[Member], fresh: Sequence[Member], shown: Sequence[Member], policy: Policy
) -> Send:
    """Whoever heard "warning" is woken by "critical": at once, whatever interval the group keeps."""
    everyone = [*fresh, *shown]
    first = order_members(worsened)
    return Send(
        kind=Kind.WORSENED,
        reason="severity_rose",
        content=build_key(everyone),
        in_place=policy.in_place,
        shows=(*first, *(one for one in order_members(everyone) if one not in first)),
        tells=tuple(one.incident_id for one in fresh),
        about=(*first, *(one.incident_id for one in fresh)),
    )


def _decide_again(
    ledger: Ledger, audible: Sequence[Member], shown: Sequence[Member], now: datetime, timers: Timers
) -> Send | Hold:
    """Whether it is time to speak again of something that is known and not over."""
    spoken = ledger.pinged_at or ledger.told_at or now
    if (refusal := ledger.refusals.get(Kind.REPEATED)) is not None:
        spoken = max(spoken, refusal.at)
    here = [one for one in audible if one.cleared_at is None]
    if not here:
        return Hold("may_come_back")
    waiting = [one for one in here if one.state is State.OPEN]
    if waiting:
        reason, due = "still_firing", spoken + timers.repeat
    else:
        taken = max((one.acknowledged_at for one in here if one.acknowledged_at), default=spoken)
        reason, due = "acknowledged_but_open", max(spoken, taken) + timers.remind
    if now < due:
        return Hold("already_told", due)
    return Send(
        kind=Kind.REPEATED,
        reason=reason,
        content=build_key(shown),
        in_place=False,
        shows=order_members(shown),
    )


def _tell_news(
    ledger: Ledger, shown: Sequence[Member], now: datetime, policy: Policy, otherwise: Hold
) -> Send | Hold:
    content = build_key(shown)
    if ledger.content == content:
        return otherwise
    if not policy.in_place or ledger.thread is None:
        return Hold("no_new_messages_between", otherwise.until)
    every = max(policy.every, LARGE_GROUP_EVERY if len(shown) > LARGE_GROUP else timedelta(0))
    if ledger.told_at is not None and now < ledger.told_at + every:
        return Hold("updated_too_recently", ledger.told_at + every)
    return Send(kind=Kind.UPDATED, reason="news", content=content, in_place=True, shows=order_members(shown))


def _hold_muted(
    members: Sequence[Member], mutes: Mapping[str, Mute], otherwise: str, until: datetime | None = None
) -> Hold:
    """A Hold that says who mutes, and asks again when the first mute or the given time comes."""
    held = [mutes[one.incident_id] for one in members if one.incident_id in mutes and not one.over]
    ends = [end for end in (until, *(mute.until for mute in held)) if end is not None]
    return Hold(held[0].reason if held else otherwise, min(ends, default=None))
