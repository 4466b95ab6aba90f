"""The part of monitors.yml that says who hears: routes and receivers, typed and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.incident.routing import Route, parse_matcher
from sagewatch.section import Section, read_optional, read_switch, read_text

SECRET_SCHEME: Final = "secret:"  # noqa: S105 (it marks a name)
MAIL_TOPIC: Final = "alerts"


class SlackReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A channel; ``token`` is the NAME of the secret that holds the bot token."""

    channel: str
    token: str
    api_url: str = "https://slack.com/api/"


class MailReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's alerts topic, to which people subscribe."""

    topic: str = MAIL_TOPIC


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears, by which channels."""

    slack: SlackReceiver | None = None
    mail: MailReceiver | None = None


def read_receiver(section: Section) -> Receiver:
    """One receiver, with all its channels."""
    section.expect("slack", "mail")
    return Receiver(
        slack=read_optional(section, "slack", _read_slack), mail=read_optional(section, "mail", _read_mail)
    )


def _read_slack(section: Section) -> SlackReceiver:
    section.expect("channel", "token", "api_url")
    channel = section.take("channel", read_text, "")
    token = section.take("token", _read_secret, "")
    if not channel or not token:
        raise section.fail("channel" if not channel else "token", "is missing")
    api_url = section.take("api_url", read_text, "https://slack.com/api/")
    return SlackReceiver(channel=channel, token=token, api_url=api_url)


def _read_mail(section: Section) -> MailReceiver:
    section.expect("topic")
    topic = section.take("topic", read_text, MAIL_TOPIC)
    if topic != MAIL_TOPIC:
        raise section.fail("topic", f"must be {MAIL_TOPIC}, the stack's own topic")
    return MailReceiver(topic=topic)


def read_route(section: Section | None, receivers: Mapping[str, Receiver], above: Section) -> Route:
    """The tree of routes; without one, the only receiver hears everything."""
    if section is None:
        if len(receivers) > 1:
            raise above.fail("routes", "is missing: there are several receivers, so say who hears what")
        return Route(receiver=next(iter(receivers), None))
    section.expect("receiver", "match", "continue", "routes")
    receiver = section.take("receiver", read_text, None)
    if receiver is not None and receiver not in receivers:
        raise section.fail(
            "receiver", f"{receiver} is no receiver; there are {', '.join(receivers) or 'none'}"
        )
    return Route(
        receiver=receiver,
        match=section.take("match", _read_matchers, ()),
        continue_=section.take("continue", read_switch, default=False),
        routes=tuple(read_route(one, receivers, section) for one in section.sections("routes", "route")),
    )


def _read_secret(value: Any) -> str:
    text = read_text(value)
    if not text.startswith(SECRET_SCHEME) or text == SECRET_SCHEME:
        raise ValueError("must name a secret as secret:NAME; the token itself never stands in this file")
    return text.removeprefix(SECRET_SCHEME)


def _read_matchers(value: Any) -> tuple[str, ...]:
    matchers = (value,) if isinstance(value, str) else tuple(value)
    for matcher in matchers:
        try:
            parse_matcher(matcher)
        except ConfigurationError as error:
            raise ValueError(f"{matcher}: {error.reason}") from None
    return matchers
