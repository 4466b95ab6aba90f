"""What comes and goes, summed up: when a receiver hears of it, whom a summary counts, and when that is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.ledger import Hold, Kind, Ledger, Member, Send, build_key, order_members
from sagewatch.incident.routing import FINGERPRINT, Timers

DIGEST_OVER = "digest_over"
"""Reason of the end of a summary, where a channel keeps one open until it is told of the end."""

FLAPPING = "flapping"
"""Reason of a summary, and of waiting for the next one."""

_HEARD = frozenset({"firing", "resolved", "digested"})


def is_summed_up(member: Member, now: datetime, digest: timedelta) -> bool:
    """What comes and goes; once it stays for as long as a summary covers, it is told like any other."""
    return member.flapping and (member.over or now < member.opened_at + digest)


def decide_summary(
    ledger: Ledger,
    members: Sequence[Member],
    summed: Sequence[Member],
    now: datetime,
    timers: Timers,
    digest: timedelta,
) -> Send | Hold | None:
    """The summary of what has not been summed up yet, now or later; None where there is nothing.

    Parameters
    ----------
    summed
        Those of the members that the next summary counts.
    """
    if not summed:
        return None
    due = _find_due(ledger, members, summed, timers, digest)
    if due is not None and now < due:
        return Hold(FLAPPING, due)
    shows = order_members(summed)
    return Send(
        kind=Kind.DIGEST, reason=FLAPPING, content=build_key(summed), in_place=False, shows=shows, tells=shows
    )


def find_summary(
    ledger: Ledger,
    members: Sequence[Member],
    member: Member,
    now: datetime,
    timers: Timers,
    digest: timedelta,
) -> datetime | None:
    """When the member, of which the receiver has not heard, is summed up; None where it does not wait for that."""
    if member.told is not None or not is_summed_up(member, now, digest):
        return None
    due = _find_due(ledger, members, [member], timers, digest) or now
    return due if member.over else min(due, member.opened_at + digest)


def find_turn(
    summary: Send | Hold | None, members: Sequence[Member], now: datetime, digest: timedelta
) -> datetime | None:
    """When what is summed up is to be looked at next: for the next summary, or as it has stayed so long."""
    turns = [summary.until] if isinstance(summary, Hold) and summary.until is not None else []
    turns += [
        one.opened_at + digest
        for one in members
        if one.told in {None, "digested"} and not one.over and is_summed_up(one, now, digest)
    ]
    return min(turns, default=None)


def _find_due(
    ledger: Ledger, members: Sequence[Member], summed: Sequence[Member], timers: Timers, digest: timedelta
) -> datetime | None:
    """What was never summed up waits for company, what is worse than it was for nothing (None), the rest for its time."""
    if ledger.digested_at is None:
        return None
    heard = dict[tuple[str, ...], int]()
    for one in members:
        if one.told in _HEARD:
            rank = (one.told_severity or one.severity).rank
            heard[_name_fingerprint(one)] = max(rank, heard.get(_name_fingerprint(one), rank))
    known = [(one, heard.get(_name_fingerprint(one))) for one in summed]
    if any(rank is not None and one.severity.rank > rank for one, rank in known):
        return None
    is_new = any(rank is None for _, rank in known)
    return ledger.digested_at + (min(timers.interval, digest) if is_new else digest)


def _name_fingerprint(member: Member) -> tuple[str, ...]:
    return tuple(member.labels.get(label, "") for label in FINGERPRINT)


def count_summed(ledger: Ledger, members: Sequence[Member], send: Send) -> Ledger:
    """The ledger that says whom the summary counts that a channel keeps open by its key, once this one went out, too."""
    still = [one.incident_id for one in members if one.incident_id in ledger.summed and not one.over]
    return msgspec.structs.replace(
        ledger, digest_open=True, summed=tuple(dict.fromkeys((*still, *send.tells)))
    )


def decide_end_of_summary(ledger: Ledger, members: Sequence[Member]) -> Send | None:
    """The end of the summary that is open, once all that it counts is over, also what was told by itself since."""
    if not ledger.digest_open:
        return None
    counted = [one for one in members if one.incident_id in ledger.summed]
    if not counted:  # an older version did not write down whom it counts
        counted = [one for one in members if one.told == "digested"] or list(members)
    if not all(one.over for one in counted):
        return None
    shows = order_members(counted)
    return Send(
        kind=Kind.RESOLVED, reason=DIGEST_OVER, content=build_key(counted), in_place=False, shows=shows, about=shows
    )  # fmt: skip
