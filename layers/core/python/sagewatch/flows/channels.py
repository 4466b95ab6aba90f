"""Which channels a receiver has, and how a message goes out on each."""

from __future__ import annotations

from collections.abc import Iterator

from sagewatch.alert.content import Announcement
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Kind, Ledger, Policy, Send
from sagewatch.alert.slack import render_slack
from sagewatch.alerting import Receiver
from sagewatch.world import World

POLICIES = {"slack": Policy(in_place=True), "mail": Policy()}


def list_channels(receiver: Receiver) -> Iterator[str]:
    """The names of a receiver's channels, in the order in which they are told."""
    for channel in POLICIES:
        if getattr(receiver, channel) is not None:
            yield channel


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
    if channel == "mail":
        mail = render_mail(announcement)
        world.mail.publish_mail(mail.subject, mail.body)
        return None
    message = render_slack(announcement)
    if send.kind is Kind.DIGEST:
        world.chat.post_message(name, message)
        return ledger.thread
    if ledger.thread is None or (send.kind is Kind.FIRING and not send.in_place):
        return world.chat.post_message(name, message)
    if send.kind is Kind.REPEATED:
        # The channel hears of it once more; the message itself stays where it was.
        world.chat.reply(name, ledger.thread, {**message, "reply_broadcast": True})
        return ledger.thread
    world.chat.update_message(name, ledger.thread, message)
    return ledger.thread
