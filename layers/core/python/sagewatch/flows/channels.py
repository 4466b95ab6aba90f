"""Which channels a receiver has, and how a message goes out on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from sagewatch.alert.amazon_q import find_faults, render_amazon_q
from sagewatch.alert.buttons import build_buttons
from sagewatch.alert.content import Announcement
from sagewatch.alert.html_mail import render_html_mail
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Kind, Ledger, Policy, Send
from sagewatch.alert.pagerduty import render_pagerduty
from sagewatch.alert.slack import render_reply, render_slack
from sagewatch.alert.summaries import DIGEST_OVER
from sagewatch.alert.webhook import render_webhook
from sagewatch.alert_state import AlertState
from sagewatch.errors import DeliveryError, RefusedError, RejectedInputError, RetryError
from sagewatch.finding import build_content_key
from sagewatch.flows.share_pictures import load_pictures
from sagewatch.incident.model import Debt, State
from sagewatch.monitors.receivers import Receiver
from sagewatch.observability import get_logger
from sagewatch.world import World

# Slack's chat.update and chat.postMessage on a message that is there no more, or may not be changed any more.
_MESSAGE_LOST = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "thread_not_found",
        "cannot_reply_to_message",
    }
)
POLICIES = {
    "slack": Policy(in_place=True),
    "mail": Policy(),
    "pagerduty": Policy(in_place=True, keyed=True),
    "webhook": Policy(in_place=True, keyed=True),
    "slack_webhook": Policy(),
    "html_mail": Policy(),
    "amazon_q": Policy(),
}


def list_channels(receiver: Receiver) -> Iterator[str]:
    """The names of a receiver's channels, in the order in which they are told."""
    for channel in POLICIES:
        if getattr(receiver, channel) is not None:
            yield channel


def has_open(debt: Debt, alerts: AlertState) -> bool:
    """Whether the receiver was told of the incident, and of no end yet: by itself, or in a summary that a key keeps open."""
    policy = POLICIES.get(debt.receiver.rpartition("/")[2], Policy())
    if debt.told != "digested" or not policy.keyed:
        return debt.told == "firing"
    try:
        return alerts.load_ledger(debt.group, debt.receiver).digest_open
    except RejectedInputError:
        return True


def send_message(announcement: Announcement, ledger: Ledger, send: Send, world: World) -> str | None:
    """Send; the channel's handle of the message, where it gives one.

    Raises
    ------
    DeliveryError
        The channel did not take it.
    RetryError
        AWS could not take it now.
    """
    name, _, channel = ledger.receiver.rpartition("/")
    if send.generation is not None:
        ledger = msgspec.structs.replace(ledger, thread=send.thread)
    if channel == "mail":
        mail = render_mail(announcement)
        world.mail.publish_mail(mail.subject, mail.body)
        return None
    if channel == "html_mail":
        _send_letter(announcement, ledger, name, world)
        return None
    if channel == "amazon_q":
        _publish_chat(announcement, ledger, send, world)
        return None
    if channel in {"pagerduty", "webhook"}:
        return _post_event(announcement, ledger, send, channel, world)
    if channel == "slack_webhook":
        message = render_slack(announcement)
        world.hooks.post_hook(ledger.receiver, message, world.now())
        return None
    return _tell_slack(announcement, ledger, send, name, world)


def _tell_slack(
    announcement: Announcement, ledger: Ledger, send: Send, name: str, world: World
) -> str | None:
    """Post, change in place with a line in the thread, or repeat in the thread for the channel to hear."""
    message = render_slack(announcement, _build_buttons(announcement, send, world))
    if send.kind is Kind.DIGEST:
        world.chat.post_message(name, message)
        return ledger.thread
    if ledger.thread is None or (send.kind in {Kind.FIRING, Kind.RESOLVED} and not send.in_place):
        return world.chat.post_message(name, message)
    try:
        if send.kind in {Kind.REPEATED, Kind.WORSENED}:
            if send.content != ledger.content:
                known = msgspec.structs.replace(announcement, kind=Kind.UPDATED)
                world.chat.update_message(
                    name, ledger.thread, render_slack(known, _build_buttons(known, send, world))
                )
            # The channel hears of it once more; the message itself stays where it was.
            with _after_the_first_word():
                world.chat.reply(name, ledger.thread, {**message, "reply_broadcast": True})
            return ledger.thread
        world.chat.update_message(name, ledger.thread, message)
        # Second: a crash between them repeats the change, which nobody sees, and not the line.
        with _after_the_first_word():
            world.chat.reply(name, ledger.thread, render_reply(announcement))
    except DeliveryError as error:
        if error.reason not in _MESSAGE_LOST:
            raise
        # It was deleted, or is too old to be changed: what it would have said is owed all the same.
        return world.chat.post_message(name, message)
    return ledger.thread


@contextmanager
def _after_the_first_word() -> Iterator[None]:
    """What follows a word that was taken may fail as it likes: it was heard of."""
    try:
        yield
    except DeliveryError as error:
        error.perhaps_taken = True
        raise


def _send_letter(announcement: Announcement, ledger: Ledger, name: str, world: World) -> None:
    settings = world.monitors.receivers[name].html_mail
    if settings is None:
        raise DeliveryError(ledger.receiver, "no such channel", recoverable=False)
    try:
        pictures = load_pictures(announcement.incident, world)
    except (RetryError, RefusedError) as error:
        # The page has them, or will: a message is not kept back for a picture.
        get_logger().warning(
            "pictures_left_out", incident_id=announcement.incident.incident_id, reason=str(error)
        )
        pictures = ()
    with_pictures = msgspec.structs.replace(announcement, pictures=pictures)
    raw = render_html_mail(with_pictures, settings.sender, settings.to, ledger.group)
    world.letters.send_letter(ledger.receiver, settings.sender, settings.to, raw)


def _publish_chat(announcement: Announcement, ledger: Ledger, send: Send, world: World) -> None:
    """Publish what is on the schema; what is not would be dropped by Amazon Q Developer, and nobody would know."""
    last = ledger.told_at.isoformat() if ledger.told_at else ""
    message = render_amazon_q(
        announcement, ledger.group, build_content_key(str(ledger.generation), send.content, last)
    )
    if faults := find_faults(message):
        raise DeliveryError(ledger.receiver, f"off_the_schema: {'; '.join(faults)}", recoverable=False)
    world.mail.publish_chat(message)


def _build_buttons(announcement: Announcement, send: Send, world: World) -> dict[str, Any] | None:
    """Buttons where presses are answered; none under a summary."""
    incident = announcement.incident
    if world.monitors.slack is None or send.kind is Kind.DIGEST:
        return None
    watched = world.monitors.endpoints.get(incident.endpoint)
    diagnosable = watched is not None and watched.diagnosis.mode != "off"
    return build_buttons(incident, announcement.companions, diagnosable=diagnosable)


def _post_event(
    announcement: Announcement, ledger: Ledger, send: Send, channel: str, world: World
) -> str | None:
    """An event under a key that all messages about one thing share: sent twice, it is one."""
    begins = send.kind is Kind.FIRING and not send.in_place
    key = f"{ledger.group}-{ledger.generation + 1}" if begins or not ledger.thread else ledger.thread
    if send.generation is not None:
        key = f"{ledger.group}-{send.generation}"
    elif send.kind is Kind.DIGEST or send.reason == DIGEST_OVER:
        key = f"{ledger.group}-digest"
    render = render_pagerduty if channel == "pagerduty" else render_webhook
    world.hooks.post_hook(ledger.receiver, render(announcement, key), world.now())
    untold = send.kind in {Kind.FIRING, Kind.WORSENED} or (
        send.kind is Kind.REPEATED and send.content != ledger.content
    )
    if channel == "pagerduty" and untold and announcement.incident.state is State.ACKNOWLEDGED:
        # Somebody took it, and nobody was told so: triggered, and taken; both again after a crash are still one.
        taken = msgspec.structs.replace(announcement, kind=Kind.UPDATED)
        with _after_the_first_word():
            world.hooks.post_hook(ledger.receiver, render(taken, key), world.now())
    return ledger.thread if send.kind is Kind.DIGEST else key
