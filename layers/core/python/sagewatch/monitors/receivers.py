"""The part of monitors.yml that says by which channels people hear: receivers, typed and read."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from sagewatch.section import (
    Section,
    read_optional,
    read_text,
)

SECRET_SCHEME: Final = "secret:"  # noqa: S105 (it marks a name)
PARAMETER_SCHEME: Final = "ssm:"
MAIL_TOPIC: Final = "alerts"
CHAT_TOPIC: Final = "chat"
TEST_RECEIVER: Final = "test"
"""Who hears of rehearsals and drills alone; routes need not lead to it."""
MOST_RECIPIENTS: Final = 50
_MAILBOX: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NONE: Final[tuple[str, ...]] = ()


class SlackReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A channel; ``token`` is the NAME of the secret that holds the bot token."""

    channel: str
    token: str
    api_url: str = "https://slack.com/api/"


class MailReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's alerts topic, to which people subscribe."""

    topic: str = MAIL_TOPIC


class PagerDutyReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A PagerDuty service; ``key`` is the NAME of the secret that holds its integration key."""

    key: str
    url: str = "https://events.pagerduty.com/v2/enqueue"


class WebhookReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """Anybody's own receiver; ``secret`` is the NAME of the secret that signs."""

    url: str
    secret: str


class HtmlMailReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """Mails with pictures through SES: from an identity that SES has verified, to these addresses."""

    sender: str
    to: tuple[str, ...]


class AmazonQReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """Channels to which Amazon Q Developer brings the stack's chat topic."""

    topic: str = CHAT_TOPIC


class SlackWebhookReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """An incoming webhook of Slack; its address is a secret, ``url`` is that secret's NAME."""

    url: str


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears, by which channels."""

    slack: SlackReceiver | None = None
    mail: MailReceiver | None = None
    pagerduty: PagerDutyReceiver | None = None
    webhook: WebhookReceiver | None = None
    slack_webhook: SlackWebhookReceiver | None = None
    html_mail: HtmlMailReceiver | None = None
    amazon_q: AmazonQReceiver | None = None


def read_receiver(section: Section) -> Receiver:
    """One receiver, with all its channels."""
    channels = ("slack", "mail", "pagerduty", "webhook", "slack-webhook", "html-mail", "amazon-q")
    section.expect(*channels)
    if not section.names():
        raise section.wrong(f"has no channel; there are {', '.join(channels)}")
    return Receiver(
        slack=read_optional(section, "slack", _read_slack),
        mail=read_optional(section, "mail", lambda inner: MailReceiver(topic=_read_topic(inner, MAIL_TOPIC))),
        pagerduty=read_optional(section, "pagerduty", _read_pagerduty),
        webhook=read_optional(section, "webhook", _read_webhook),
        slack_webhook=read_optional(section, "slack-webhook", _read_slack_webhook),
        html_mail=read_optional(section, "html-mail", _read_html_mail),
        amazon_q=read_optional(
            section, "amazon-q", lambda inner: AmazonQReceiver(topic=_read_topic(inner, CHAT_TOPIC))
        ),
    )


def _read_slack(section: Section) -> SlackReceiver:
    section.expect("channel", "token", "api_url")
    channel = section.take("channel", read_text, "")
    token = section.take("token", read_secret, "")
    if not channel or not token:
        raise section.fail("channel" if not channel else "token", "is missing")
    api_url = section.take("api_url", _read_api, "https://slack.com/api/")
    return SlackReceiver(channel=channel, token=token, api_url=api_url)


def _read_topic(section: Section, own: str) -> str:
    """The one topic of the stack that the channel may name."""
    section.expect("topic")
    topic = section.take("topic", read_text, own)
    if topic != own:
        raise section.fail("topic", f"must be {own}, the stack's own topic")
    return topic


def _read_html_mail(section: Section) -> HtmlMailReceiver:
    section.expect("sender", "to")
    sender, to = section.take("sender", _read_mailbox, ""), section.take("to", _read_mailboxes, _NONE)
    if not sender or not to:
        raise section.fail("to" if sender else "sender", "is missing")
    return HtmlMailReceiver(sender=sender, to=to)


def _read_mailboxes(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not 1 <= len(given) <= MOST_RECIPIENTS:
        raise ValueError(f"must be 1 to {MOST_RECIPIENTS} addresses, SES's limit for a message")
    return tuple(_read_mailbox(one) for one in given)


def _read_mailbox(value: Any) -> str:
    text = read_text(value)
    if not _MAILBOX.fullmatch(text):
        raise ValueError(f"must be a plain mail address such as ml-on-call@example.com, not {text!r}")
    return text


def _read_pagerduty(section: Section) -> PagerDutyReceiver:
    section.expect("key", "url")
    key = section.take("key", read_secret, "")
    if not key:
        raise section.fail("key", "is missing")
    plain = PagerDutyReceiver(key=key)
    return PagerDutyReceiver(key=key, url=section.take("url", _read_address, plain.url))


def _read_webhook(section: Section) -> WebhookReceiver:
    section.expect("url", "secret")
    url, secret = section.take("url", _read_address, ""), section.take("secret", read_secret, "")
    if not url or not secret:
        raise section.fail("secret" if url else "url", "is missing")
    return WebhookReceiver(url=url, secret=secret)


def _read_slack_webhook(section: Section) -> SlackWebhookReceiver:
    section.expect("url")
    url = section.take("url", read_secret, "")
    if not url:
        raise section.fail("url", "is missing")
    return SlackWebhookReceiver(url=url)


def _read_address(value: Any) -> str:
    """An address that what is secret may be sent to: HTTPS, or this very machine."""
    text = read_text(value)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    here = parts.scheme == "http" and parts.hostname in _HERE
    if not parts.hostname or not (parts.scheme == "https" or here):
        raise ValueError("must be an https:// address")
    if parts.username or parts.password:
        raise ValueError("must hold no user and no password: this file is no place for secrets")
    return text


def _read_api(value: Any) -> str:
    text = _read_address(value)
    if not text.endswith("/"):
        raise ValueError("must end with / for methods are put behind it, as in https://slack.com/api/")
    return text


def read_secret(value: Any) -> str:
    """The NAME of a secret in Secrets Manager, or ``ssm:`` and the name of a parameter."""
    text = read_text(value)
    for scheme in (SECRET_SCHEME, PARAMETER_SCHEME):
        if text.startswith(scheme) and text != scheme:
            return text if scheme == PARAMETER_SCHEME else text.removeprefix(scheme)
    raise ValueError(
        "must name a secret as secret:NAME or ssm:NAME; the token itself never stands in this file"
    )
