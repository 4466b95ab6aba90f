"""Mails that SNS and SES refuse: moto takes subjects of any characters, counts no bytes, and reads no raw mail.

Who is verified, and how many may be written to, moto asks itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ses.exceptions import MessageRejectedError
from moto.ses.models import SESBackend
from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend

from sagewatch.sandbox.mail_rules import find_refused_letter, find_refused_notification


def fill() -> None:
    """Ask the rules before moto takes a mail."""
    SNSBackend.publish = refuse_notifications(SNSBackend.publish)
    SESBackend.send_raw_email = refuse_letters(SESBackend.send_raw_email)


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
