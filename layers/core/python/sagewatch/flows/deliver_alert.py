"""What each receiver is still owed of an incident goes out: claim, send, record.

A crash between sending and recording repeats a message after the claim has lapsed; none is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.content import Announcement
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Hold, Kind, Policy, Send, decide_announcement, settle
from sagewatch.alert.slack import render_slack
from sagewatch.errors import DeliveryError, RejectedInputError, RetryError
from sagewatch.events import DiagnosisChanged, Fact, IncidentChanged
from sagewatch.flows.evidence import build_links, get_class_names, write_page
from sagewatch.incident.model import Debt, Entry, Incident
from sagewatch.incident.routing import build_labels, decide_receivers
from sagewatch.observability import get_logger
from sagewatch.world import World

BY = "deliver_alert"
CLAIM = timedelta(seconds=60)  # longer than a channel's timeout and its retries
_MESSAGES_AT_ONCE = 3  # firing, resolved, and one more look
_POLICIES = {"slack": Policy(in_place=True, every=timedelta(0)), "mail": Policy()}


def deliver_alert(fact: Fact, world: World) -> None:
    """Tell everybody who is owed something about the incident; one receiver's failure keeps no other waiting."""
    if not isinstance(fact, IncidentChanged | DiagnosisChanged):
        return
    incident = world.state.load_incident(fact.incident_id)
    if incident is None:
        raise RetryError("incident_not_visible_yet")
    failures: list[DeliveryError | RetryError] = []
    sent = 0
    for name, channel in list_channels(incident, world):
        try:
            sent += _settle_channel(incident, name, channel, world)
        except (DeliveryError, RetryError) as error:
            failures.append(error)
    if sent:
        # The page lists who was told what; it is as good as it was without that line, so it comes last.
        write_page(incident.incident_id, world)
    for failure in failures:
        raise _as_outcome(failure)


def list_channels(incident: Incident, world: World) -> Iterator[tuple[str, str]]:
    """Receiver and channel of everybody who hears of the incident, in the order of the routes."""
    for routed in decide_receivers(world.monitors.route, build_labels(incident)):
        receiver = world.monitors.receivers[routed.receiver]
        if receiver.slack is not None:
            yield routed.receiver, "slack"
        if receiver.mail is not None:
            yield routed.receiver, "mail"


def _settle_channel(incident: Incident, name: str, channel: str, world: World) -> int:
    """How many messages it took."""
    for count in range(_MESSAGES_AT_ONCE):
        debt = world.state.load_debt(incident.incident_id, f"{name}/{channel}")
        now = world.now()
        decision = decide_announcement(incident, debt, now, _POLICIES[channel])
        if isinstance(decision, Hold):
            return count
        if debt.claimed_until is not None and now < debt.claimed_until:
            raise RetryError("being_sent_by_another")
        claimed = world.state.save_debt(msgspec.structs.replace(debt, claimed_until=now + CLAIM))
        if count == 0 and decision.kind is Kind.FIRING:
            write_page(incident.incident_id, world)  # so that the link in the alert opens something
        _send_and_record(incident, claimed, decision, name, channel, now, world)
    return _MESSAGES_AT_ONCE


def _send_and_record(
    incident: Incident, claimed: Debt, send: Send, name: str, channel: str, now: datetime, world: World
) -> None:
    announcement = Announcement(
        kind=send.kind,
        incident=incident,
        links=build_links(incident, now, world),
        class_names=get_class_names(incident.endpoint, world),
    )
    try:
        handle = _send(announcement, claimed, send, name, channel, world)
    except DeliveryError:
        world.state.save_debt(msgspec.structs.replace(claimed, claimed_until=None))
        raise
    settled = settle(claimed, send, world.now(), thread=handle)
    world.state.save_debt(msgspec.structs.replace(settled, claimed_until=None))
    data: dict[str, str | int | float | bool | None] = {
        "receiver": f"{name}/{channel}",
        "kind": send.kind.value,
    }
    entry = Entry(at=world.now(), what="alert_sent", reason=send.reason, by=BY, data=data)
    world.state.add_entries(incident.incident_id, [entry])
    get_logger().info(
        "alert_sent",
        incident_id=incident.incident_id,
        receiver=name,
        channel=channel,
        decision=send.kind.value,
        reason=send.reason,
    )


def _send(
    announcement: Announcement, debt: Debt, send: Send, name: str, channel: str, world: World
) -> str | None:
    if channel == "mail":
        mail = render_mail(announcement)
        world.mail.publish_mail(mail.subject, mail.body)
        return None
    message = render_slack(announcement)
    if send.in_place and debt.thread is not None:
        world.chat.update_message(name, debt.thread, message)
        return debt.thread
    return world.chat.post_message(name, message)


def _as_outcome(failure: DeliveryError | RetryError) -> RetryError | RejectedInputError:
    """What the queue is to do: come again, or keep the message with its reason among the dead letters."""
    if isinstance(failure, RetryError):
        return failure
    if failure.recoverable:
        return RetryError(failure.reason, after_seconds=failure.after_seconds)
    return RejectedInputError(failure.reason, where=f"receiver {failure.receiver}")
