"""Mails that SNS and SES refuse: moto takes subjects of any characters, counts no bytes, reads no raw mail, sends none.

Who is verified, and how many may be written to, moto asks itself.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate, parseaddr
from typing import Any

from moto.ses.exceptions import MessageRejectedError
from moto.ses.models import SESBackend
from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend

from sagewatch.sandbox.inbox import send_mail
from sagewatch.sandbox.mail_rules import find_refused_letter, find_refused_notification


def fill(mail_port: int | None = None) -> None:
    """Ask the rules before moto takes a mail; hand on what SES took to the mail server, where there is one."""
    SNSBackend.publish = refuse_notifications(SNSBackend.publish)
    send = SESBackend.send_raw_email
    SESBackend.send_raw_email = refuse_letters(
        send if mail_port is None else deliver_letters(send, mail_port)
    )


def deliver_letters(send: Callable[..., Any], mail_port: int) -> Callable[..., Any]:
    """``send_raw_email`` that sends: with the fields that SES adds, to the addresses that it was given."""

    def call(self: Any, source: str, destinations: list[str], raw_data: str) -> Any:
        message = send(self, source, destinations, raw_data)
        added = f"Date: {formatdate()}\r\nMessage-ID: <{message.id}@eu-west-1.amazonses.com>\r\n"
        to = dict.fromkeys(parseaddr(one)[1] for one in message.destinations)  # moto adds those of the header
        send_mail(mail_port, parseaddr(source)[1], list(to), (added + raw_data).encode())
        return message

    return call


def refuse_notifications(publish: Callable[..., Any]) -> Callable[..., Any]:
    """``publish``, asked only for what SNS takes."""

    def call(self: Any, message: str, arn: str | None, *more: Any, **named: Any) -> Any:
        subject = named.get("subject", more[1] if len(more) > 1 else None)
        if reason := find_refused_notification(subject, message):
            raise InvalidParameterValue(f"Invalid parameter: {reason}")
        return publish(self, message, arn, *more, **named)

    return call


def refuse_letters(send: Callable[..., Any]) -> Callable[..., Any]:
    """``send_raw_email``, asked only for what SES takes."""

    def call(self: Any, source: str, destinations: list[str], raw_data: str) -> Any:
        if reason := find_refused_letter(raw_data.encode()):
            raise MessageRejectedError(reason)
        return send(self, source, destinations, raw_data)

    return call
