"""The part of monitors.yml that says who hears: routes and receivers, typed and read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.incident.calendar import Recurrence, parse_recurrence
from sagewatch.incident.flapping import OPENINGS_KEPT, Flapping
from sagewatch.incident.matching import LABELS, parse_matcher
from sagewatch.incident.muting import Inhibition, Window
from sagewatch.incident.possible import Known, find_impossible
from sagewatch.incident.routing import GROUPABLE, Escalation, Route
from sagewatch.section import (
    Section,
    read_duration,
    read_optional,
    read_positive,
    read_switch,
    read_text,
    read_wait,
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


def list_heard(route: Route) -> set[str]:
    """The receivers that a tree of routes leads to, at once or by escalation."""
    named = {route.receiver} if route.receiver else set()
    named |= {one.receiver for one in route.escalate or ()}
    return named.union(*(list_heard(child) for child in route.routes))


def read_receiver(section: Section) -> Receiver:
    """One receiver, with all its channels."""
    channels = ("slack", "mail", "pagerduty", "webhook", "slack-webhook", "html-mail", "amazon-q")
    section.expect(*channels)
    if not section.names():
        raise section.wrong(f"has no channel; there are {', '.join(channels)}")
    return Receiver(
        slack=read_optional(section, "slack", _read_slack),
        mail=read_optional(section, "mail", _read_mail),
        pagerduty=read_optional(section, "pagerduty", _read_pagerduty),
        webhook=read_optional(section, "webhook", _read_webhook),
        slack_webhook=read_optional(section, "slack-webhook", _read_slack_webhook),
        html_mail=read_optional(section, "html-mail", _read_html_mail),
        amazon_q=read_optional(section, "amazon-q", _read_amazon_q),
    )


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


def _read_amazon_q(section: Section) -> AmazonQReceiver:
    section.expect("topic")
    topic = section.take("topic", read_text, CHAT_TOPIC)
    if topic != CHAT_TOPIC:
        raise section.fail("topic", f"must be {CHAT_TOPIC}, the stack's own topic")
    return AmazonQReceiver(topic=topic)


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


def _read_slack(section: Section) -> SlackReceiver:
    section.expect("channel", "token", "api_url")
    channel = section.take("channel", read_text, "")
    token = section.take("token", read_secret, "")
    if not channel or not token:
        raise section.fail("channel" if not channel else "token", "is missing")
    api_url = section.take("api_url", _read_api, "https://slack.com/api/")
    return SlackReceiver(channel=channel, token=token, api_url=api_url)


def _read_mail(section: Section) -> MailReceiver:
    section.expect("topic")
    topic = section.take("topic", read_text, MAIL_TOPIC)
    if topic != MAIL_TOPIC:
        raise section.fail("topic", f"must be {MAIL_TOPIC}, the stack's own topic")
    return MailReceiver(topic=topic)


def read_routes(top: Section, receivers: Mapping[str, Receiver], known: Known) -> Route:
    """The tree of routes; without one, the only receiver hears everything."""
    section = top.section("routes", "route")
    if section is None:
        if len(receivers) > 1:
            raise top.fail("routes", "is missing: there are several receivers, so say who hears what")
        return Route(receiver=next(iter(receivers), None))
    for key in ("match", "continue"):
        if key in section.names():
            raise section.fail(key, "has no meaning here: the root hears whatever no child takes")
    if receivers and "receiver" not in section.names():
        raise section.wrong("must name the receiver that hears whatever no child takes")
    return _read_route(section, receivers, known, ())


def _read_route(
    section: Section, receivers: Mapping[str, Receiver], known: Known, above: tuple[str, ...]
) -> Route:
    section.expect(
        "receiver", "match", "continue", "routes", "group_by", "group_wait", "group_interval", "repeat_interval",
        "remind_interval", "escalate",
    )  # fmt: skip
    match = _take_matchers(section, "match", known, above)
    children, before = [], list[Route]()
    for inner in section.sections("routes", "route"):
        child = _read_route(inner, receivers, known, (*above, *match))
        if any(not one.continue_ and set(one.match) <= set(child.match) for one in before):
            raise inner.wrong("is never reached: a route before it takes all that it matches")
        before.append(child)
        children.append(child)
    receiver = _take_receiver(section, receivers)
    return Route(
        receiver=receiver,
        match=match,
        continue_=section.take("continue", read_switch, default=False),
        group_by=section.take("group_by", _read_group_by, None),
        group_wait=section.take("group_wait", read_wait, None),
        group_interval=section.take("group_interval", read_wait, None),
        repeat_interval=section.take("repeat_interval", read_duration, None),
        remind_interval=section.take("remind_interval", read_duration, None),
        escalate=_read_escalations(section, receivers, known, (*above, *match), receiver),
        routes=tuple(children),
    )


def read_inhibition(section: Section, known: Known) -> Inhibition:
    """One rule of ``inhibit``: while what matches ``when`` is open, what matches ``mutes`` is not told."""
    section.expect("when", "mutes", "equal")
    when, mutes = _take_matchers(section, "when", known), _take_matchers(section, "mutes", known)
    if not when or not mutes:
        raise section.fail("mutes" if when else "when", "is missing")
    if set(when) == set(mutes):
        raise section.fail("mutes", "is the same as when: what explains itself is never muted")
    return Inhibition(when=when, mutes=mutes, equal=section.take("equal", _read_labels, ()))


def read_windows(section: Section | None, known: Known) -> Iterator[Window]:
    """The maintenance windows, by their names."""
    if section is None:
        return
    for name in section.names():
        inner = section.section(name, "window")
        if inner is None:
            continue
        inner.expect("mutes", "every")
        mutes = _take_matchers(inner, "mutes", known)
        every = inner.take("every", _read_recurrence, None)
        if every is None:
            raise inner.fail("every", "is missing")
        yield Window(name=name, mutes=mutes, every=every)


def read_flapping(section: Section | None) -> Flapping:
    """How patient to be with what comes and goes."""
    plain = Flapping()
    if section is None:
        return plain
    section.expect("hold", "budget", "per", "digest")
    return Flapping(
        hold=section.take("hold", read_wait, plain.hold),
        budget=section.take("budget", _read_budget, plain.budget),
        per=section.take("per", read_duration, plain.per),
        digest=section.take("digest", read_duration, plain.digest),
    )


def _read_budget(value: Any) -> int:
    budget = read_positive(value)
    if budget > OPENINGS_KEPT:
        raise ValueError(f"must be at most {OPENINGS_KEPT}: so many openings of a fingerprint are remembered")
    return budget


def _read_recurrence(value: Any) -> Recurrence:
    return parse_recurrence(read_text(value))


def _read_labels(value: Any) -> tuple[str, ...]:
    labels = (value,) if isinstance(value, str) else tuple(value)
    for label in labels:
        if label not in LABELS:
            raise ValueError(f"{label} is no label; there are {', '.join(LABELS)}")
    return labels


def _take_receiver(section: Section, receivers: Mapping[str, Receiver]) -> str | None:
    receiver = section.take("receiver", read_text, None)
    if receiver is not None and receiver not in receivers:
        raise section.fail(
            "receiver", f"{receiver} is no receiver; there are {', '.join(receivers) or 'none'}"
        )
    return receiver


def _read_escalations(
    section: Section,
    receivers: Mapping[str, Receiver],
    known: Known,
    above: tuple[str, ...],
    hears: str | None,
) -> tuple[Escalation, ...] | None:
    given = "escalate" in section.names()
    found = []
    for one in section.sections("escalate", "escalate"):
        one.expect("after", "receiver", "match")
        receiver, after = _take_receiver(one, receivers), one.take("after", read_duration, None)
        if receiver is None or after is None:
            raise one.fail("receiver" if receiver is None else "after", "is missing")
        if receiver == hears:
            raise one.fail("receiver", f"{receiver} hears at once already; escalate to somebody else")
        match = _take_matchers(one, "match", known, above)
        found.append(Escalation(after=after, receiver=receiver, match=match))
    return tuple(found) if given else None


def _read_group_by(value: Any) -> tuple[str, ...]:
    labels = (value,) if isinstance(value, str) else tuple(value)
    for label in labels:
        if label not in GROUPABLE:
            raise ValueError(f"{label} is no label to group by; there are {', '.join(GROUPABLE)}")
    return labels


def read_secret(value: Any) -> str:
    """The NAME of a secret in Secrets Manager, or ``ssm:`` and the name of a parameter."""
    text = read_text(value)
    for scheme in (SECRET_SCHEME, PARAMETER_SCHEME):
        if text.startswith(scheme) and text != scheme:
            return text if scheme == PARAMETER_SCHEME else text.removeprefix(scheme)
    raise ValueError(
        "must name a secret as secret:NAME or ssm:NAME; the token itself never stands in this file"
    )


def _take_matchers(section: Section, key: str, known: Known, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Matchers that can hold, together with those of the routes above."""

    def read(value: Any) -> tuple[str, ...]:
        matchers = _read_matchers(value)
        if impossible := find_impossible((*above, *matchers), known):
            raise ValueError(f"can never hold: {impossible}")
        return matchers

    return section.take(key, read, _NONE)


def _read_matchers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str | list) or not all(isinstance(one, str) for one in value):
        raise ValueError('must be a list of matchers such as ["severity=critical", "endpoint=~churn-.*"]')
    matchers = (value,) if isinstance(value, str) else tuple(value)
    for matcher in matchers:
        try:
            parse_matcher(matcher)
        except ConfigurationError as error:
            raise ValueError(f"{matcher}: {error.reason}") from None
    return matchers
