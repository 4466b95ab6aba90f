"""What cannot be told now: when to try again, and what is given up with its reason."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.ledger import forget_refused, list_without_letter, note_refusal
from sagewatch.alert.outbox import Hold, Ledger, Send
from sagewatch.alert.settling import build_wait
from sagewatch.alert_state import Group
from sagewatch.errors import ConfigurationError, ConflictError, DeliveryError, RetryError
from sagewatch.flows.incident_changes import build_due
from sagewatch.incident.model import Entry, Incident
from sagewatch.observability import get_logger
from sagewatch.world import World

BY = "deliver_alert"
WAKE_AT_MOST = timedelta(minutes=15)  # SQS delays no longer
WAIT_AT_MOST = 3600.0  # seconds: no receiver's Retry-After keeps an alert for longer
WAIT_AT_LEAST, WAIT_IN_THE_END = 1.0, 60.0  # seconds: "Retry-After: 0" is no leave to call without end
ROUNDS_AT_MOST = 12
"""Wake-ups in a row that ask for the next; after them the minute's tick does.

Lambda stops a function, and its message becomes a dead letter, where one message led to the next through SQS more than
16 times: a receiver that is down for three hours would be taken for an endless loop. What the tick publishes goes by
EventBridge, which begins anew. Source: Lambda developer guide, "Recursive loop detection".
"""
LETTERS_AT_MOST = 25
"""Dead letters of one message: each of them, sent again, brings all that its group is owed."""
_LOOKS = 4  # at a ledger that changes while it is looked at
_BACKOFF = (30, 60, 120, 300, 600, 900)


def keep_failure(
    incident: Incident,
    claimed: Ledger,
    marked: Ledger,
    send: Send,
    error: DeliveryError | RetryError | ConfigurationError,
    world: World,
    rounds: int,
) -> Hold:
    """Remember that the receiver did not take it: what can heal is tried again, the rest is a dead letter.

    Parameters
    ----------
    claimed, marked
        The ledger as it was before the message went out, and with what that may have said.
    """
    now = world.now()
    perhaps = not isinstance(error, ConfigurationError) and error.perhaps_taken
    free = marked if perhaps else claimed
    free = msgspec.structs.replace(free, claimed_until=None, attempts=claimed.attempts + 1)
    data: dict[str, str | int | float | bool | None] = {"receiver": claimed.receiver, "kind": send.kind.value}
    if isinstance(error, RetryError) or (isinstance(error, DeliveryError) and error.recoverable):
        seconds = error.after_seconds
        if seconds is None:
            seconds = _BACKOFF[min(claimed.attempts, len(_BACKOFF) - 1)]
        least = WAIT_AT_LEAST if claimed.attempts < ROUNDS_AT_MOST else WAIT_IN_THE_END
        seconds = max(min(seconds, WAIT_AT_MOST), least)
        until = now + timedelta(seconds=seconds)
        # Whoever said 429, or hangs, is left alone by all groups, not by this one only.
        pause = seconds if error.after_seconds is not None else min(seconds, _BACKOFF[0])
        world.alerts.save_pause(claimed.receiver, now + timedelta(seconds=pause))
        world.alerts.save_ledger(msgspec.structs.replace(free, retry_at=until))
        _wake(incident, seconds, rounds, world)
        entry = Entry(
            at=now,
            what="alert_delayed",
            reason=error.reason,
            by=BY,
            data={**data, "retry_after_seconds": seconds, "attempts": free.attempts},
        )
        hold = Hold("receiver_is_down", until)
    else:
        entry = Entry(at=now, what="alert_refused", reason=error.reason, by=BY, data=data)
        _give_up(incident, free, send, entry, str(error), world)
        hold = Hold("receiver_refused")
    # An outage of days would fill the trail: of the tries in vain it keeps the 1st, 2nd, 4th, 8th...; the log has all.
    if hold.reason == "receiver_is_down" and free.attempts.bit_count() == 1:
        world.state.add_entries(incident.incident_id, [entry])
    get_logger().warning(
        entry.what, incident_id=incident.incident_id, receiver=claimed.receiver, reason=error.reason
    )
    return hold


def _give_up(incident: Incident, free: Ledger, send: Send, entry: Entry, why: str, world: World) -> None:
    """A line in the trail for each incident that the message was to tell of, and a dead letter for who has none yet."""
    concerned = send.about or send.tells or send.shows[:1]
    news = list_without_letter(free, send, concerned)
    wanted = news[:LETTERS_AT_MOST]
    if not wanted and not any(free.refused.values()):
        wanted = list(concerned[:1])  # no letter of the group is left that would bring this, too
    letters = [one for name in wanted if (one := world.state.load_incident(name)) is not None]
    letters = letters or ([incident] if wanted else [])
    # The letters first: a crash in between keeps them twice, the other way round it would keep none.
    for one in letters:
        world.wakeups.give_up(build_due(one, forced=True, receiver=free.receiver), entry.at, why)
    # So are the trails: once the ledger says that it was refused, nobody writes them any more.
    here = [incident.incident_id] if incident.incident_id in concerned else []
    names = dict.fromkeys((*news, *(one.incident_id for one in letters), *here))
    world.state.add_entry_to_all(list(names), entry)
    noted = note_refusal(free, send, entry.at, concerned, [one.incident_id for one in letters])
    # What was tried in vain is over with it: the next message is asked for without waiting.
    world.alerts.save_ledger(msgspec.structs.replace(noted, retry_at=None))


def forget_refusals(incident: Incident, group: str, receiver: str, world: World) -> None:
    """The incident's dead letter was sent again: all that its group was refused is owed again, whatever comes next.

    It is written down before anything else: the letter is gone, and the message may have to wait for a pause, a silence.

    Raises
    ------
    RetryError
        Another sends at this moment: what came of that is known only afterwards.
    ConflictError
        The ledger kept changing.
    """
    for _ in range(_LOOKS):
        ledger = world.alerts.load_ledger(group, receiver)
        if ledger.claimed_until is not None and world.now() < ledger.claimed_until:
            raise RetryError("being_sent_by_another")
        after = forget_refused(msgspec.structs.replace(ledger, refusals={}), [incident.incident_id])
        if after == ledger:
            return
        with contextlib.suppress(ConflictError):
            world.alerts.save_ledger(after)
            return
    raise ConflictError("ledger_was_changed")


def _wake(incident: Incident, after_seconds: float, rounds: int, world: World) -> None:
    """Ask to be woken to the second; at the end of a long chain the tick does it, which is due in the table anyway."""
    if rounds < ROUNDS_AT_MOST:
        world.wakeups.wake(build_due(incident, rounds=rounds + 1), world.now(), after_seconds)


def wait_for_receiver(incident: Incident, ledger: Ledger, until: datetime, world: World, rounds: int) -> None:
    """Ask once a group to be woken when its receiver may be called again; the ledger says that somebody did."""
    if ledger.retry_at == until:
        return
    with contextlib.suppress(ConflictError):  # somebody else was faster, with the same or with news
        world.alerts.save_ledger(msgspec.structs.replace(ledger, retry_at=until))
        _wake(incident, (until - world.now()).total_seconds(), rounds, world)


def wake_later(incident: Incident, group: Group, hold: Hold, world: World, rounds: int) -> None:
    """Ask to be woken when a group's wait is over; the first who waits asks for all, and writes it down."""
    if hold.reason not in {"group_wait", "group_interval"} or hold.until is None:
        return
    if group.ledger.waits_until != hold.until:
        with contextlib.suppress(ConflictError):  # somebody else was faster, with the same or with news
            world.alerts.save_ledger(build_wait(group.ledger, group.members, hold.until))
    left = hold.until - world.now()
    if hold.first == incident.incident_id and left <= WAKE_AT_MOST:
        _wake(incident, max(left.total_seconds(), 0), rounds, world)
