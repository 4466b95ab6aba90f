"""What a right monitors.yml says that may not be meant, or not work in this stack: told by ``sagewatch check``.

Packaging, which knows the stack's parameters, refuses a secret that no function of it may read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sagewatch.incident.describe import KINDS
from sagewatch.incident.possible import Known, find_foreign_kinds
from sagewatch.incident.together import list_together
from sagewatch.incident.unreached import find_unreached
from sagewatch.monitors.receivers import PARAMETER_SCHEME, SECRET_SCHEME, TEST_RECEIVER
from sagewatch.monitors.routes import list_heard, tell_unreached

if TYPE_CHECKING:
    from sagewatch.incident.routing import Escalation, Route
    from sagewatch.monitors.reading import Monitors


SECRET_PREFIX: Final = "sagewatch"  # noqa: S105 (the beginning of names)
"""Below which names a stack reads secrets where its parameter ``secretPrefix`` says nothing else."""


def list_doubts(monitors: Monitors, secret_prefix: str = SECRET_PREFIX) -> Iterator[str]:
    """One sentence for each, with the key that it is about."""
    yield from list_unreadable(monitors, secret_prefix)
    yield from _list_unwatched(monitors)
    yield from _list_unheard(monitors)
    yield from _list_unreached(monitors)
    yield from _list_told_twice(monitors)
    for name in sorted(monitors.receivers.keys() - {*list_heard(monitors.route), TEST_RECEIVER}):
        yield f"receivers.{name}: no route names it: it hears only the end of what it was told before."
    for key, matchers in _list_matchers(monitors):
        for text in find_foreign_kinds(matchers):
            yield f"{key}: {tell_foreign_kind(text)}"


def _list_unwatched(monitors: Monitors) -> Iterator[str]:
    """The endpoints that nobody watches for silence, which hides all the rest."""
    for name, endpoint in monitors.endpoints.items():
        no_data = endpoint.detectors.no_data
        if no_data is None or no_data.staged:
            why = "there is no no-data" if no_data is None else "no-data is staged"
            yield (
                f"endpoints.{name}.detectors: {why}: nobody is told when its captures stop, or never come, and without "
                "captures nothing else is noticed."
            )


def _list_unheard(monitors: Monitors) -> Iterator[str]:
    """Why nobody can hear of anything, or never of some of it."""
    if not list_heard(monitors.route) - {TEST_RECEIVER}:
        yield "receivers: nobody hears of anything: name a receiver, and routes that lead to it."
    for window in monitors.windows:
        if window.every.lasts_for_ever:
            muted = f"what matches {', '.join(window.mutes)}" if window.mutes else "all of it"
            yield f"windows.{window.name}: it never ends: {muted} is told to nobody, ever."


def _list_unreached(monitors: Monitors) -> Iterator[str]:
    """The routes that none of the endpoints listed now reaches, and the escalations that the children make needless."""
    unreached = {id(one) for one in find_unreached(monitors.route, Known(tuple(monitors.endpoints)))}
    for key, one in _list_of_route(monitors.route, "routes"):
        if id(one) in unreached:
            yield f"{key}: {tell_unreached(one)}."


def _list_told_twice(monitors: Monitors) -> Iterator[str]:
    """The receivers that hear what another hears, by the one topic of the stack that both are."""
    for one in list_together(monitors.route, Known(tuple(monitors.endpoints))):
        first, second = monitors.receivers[one.first], monitors.receivers[one.second]
        what = "each is told twice" if one.at_once else "an escalation to it reaches nobody new"
        for channel, topics, instead in (
            ("mail", (first.mail, second.mail), "html-mail, which has addresses of its own"),
            ("amazon-q", (first.amazon_q, second.amazon_q), "slack or slack-webhook, which have channels of their own"),
        ):  # fmt: skip
            if topics[0] is not None and topics[0] == topics[1]:
                yield (
                    f"receivers.{one.second}.{channel}: is the topic that receivers.{one.first}.{channel} is, with the "
                    f"same subscribers, and both hear of some incidents: {what}. Give one of them {instead}."
                )


def list_unreadable(monitors: Monitors, secret_prefix: str) -> Iterator[str]:
    """The secrets that no function may read: the roles name what lies below the prefix (resources/roles.yml)."""
    for key, name in _list_secrets(monitors):
        parameter = name.startswith(PARAMETER_SCHEME)
        bare = name.removeprefix(PARAMETER_SCHEME)
        readable = f"/{secret_prefix}/" if parameter else f"{secret_prefix}/"
        if not bare.startswith(readable) or bare == readable:
            scheme = PARAMETER_SCHEME if parameter else SECRET_SCHEME
            yield (
                f"{key}: {scheme}{bare} is not below {scheme}{readable}: the stack's functions may read no other "
                "(its parameter secretPrefix)."
            )


def _list_secrets(monitors: Monitors) -> Iterator[tuple[str, str]]:
    """Key and name of each secret, as they are kept: a name of Secrets Manager has no scheme."""
    for name, receiver in monitors.receivers.items():
        named = {
            "slack.token": receiver.slack and receiver.slack.token,
            "pagerduty.key": receiver.pagerduty and receiver.pagerduty.key,
            "webhook.secret": receiver.webhook and receiver.webhook.secret,
            "slack-webhook.url": receiver.slack_webhook and receiver.slack_webhook.url,
        }
        yield from ((f"receivers.{name}.{key}", secret) for key, secret in named.items() if secret)
    if monitors.slack is not None:
        yield "slack.signing", monitors.slack.signing


def tell_foreign_kind(text: str) -> str:
    """What a matcher, or a label, that names a foreign kind means."""
    return (
        f"{text} names a kind that nothing of Sagewatch raises (there are {', '.join(KINDS)}); it is only of findings "
        "that you put on the bus yourself."
    )


def _list_matchers(monitors: Monitors) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from ((f"{key}.match", one.match) for key, one in _list_of_route(monitors.route, "routes"))
    for number, rule in enumerate(monitors.inhibitions):
        yield f"inhibit[{number}].when", rule.when
        yield f"inhibit[{number}].mutes", rule.mutes
    for window in monitors.windows:
        yield f"windows.{window.name}.mutes", window.mutes


def _list_of_route(route: Route, key: str) -> Iterator[tuple[str, Route | Escalation]]:
    """The parts of a tree, by their keys."""
    yield key, route
    for number, step in enumerate(route.escalate or ()):
        yield f"{key}.escalate[{number}]", step
    for number, child in enumerate(route.routes):
        yield from _list_of_route(child, f"{key}.routes[{number}]")
