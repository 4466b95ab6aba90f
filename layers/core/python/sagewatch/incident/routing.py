"""Who hears of an incident: a label tree as in Alertmanager, and why each receiver was chosen.

Source: Prometheus Alertmanager, ``dispatch/route.go`` (children first and in order, the first that matches
unless it says ``continue``, a node's own receiver where no child matches).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagewatch.incident.model import Incident

LABELS = ("account", "region", "endpoint", "variant", "kind", "subject", "severity")
"""What a matcher may ask about."""


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"continue_": "continue"}):
    """A node of the tree.

    Attributes
    ----------
    receiver
        Who hears of it; None takes the parent's.
    match
        Matchers such as ``severity=critical``; all must hold.
    continue_
        Ask the next sibling as well, although this one matched.
    routes
        Children, in order.
    """

    receiver: str | None = None
    match: tuple[str, ...] = ()
    continue_: bool = False
    routes: tuple[Route, ...] = ()


class Matcher(msgspec.Struct, frozen=True):
    """A label, and the value that it must or must not have."""

    label: str
    value: str
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy it; a label that is absent is empty."""
        return (labels.get(self.label, "") == self.value) is not self.negated


class Routed(msgspec.Struct, frozen=True):
    """A receiver that hears of it, and the way through the tree that led there."""

    receiver: str
    reason: str


def parse_matcher(text: str) -> Matcher:
    """Read ``label=value`` or ``label!=value``; the value may stand in double quotes.

    Raises
    ------
    ConfigurationError
        No operator, or a label that nothing has.

    Examples
    --------
    >>> parse_matcher('severity!="info"')
    Matcher(label='severity', value='info', negated=True)
    """
    label, operator, value = text.partition("=")
    if not operator:
        raise ConfigurationError("a matcher needs = or !=", where="routes", key=text)
    negated = label.endswith("!")
    label = label.removesuffix("!").strip()
    if value.startswith("~"):
        raise ConfigurationError("=~ and !~ are not supported", where="routes", key=text)
    if label not in LABELS:
        raise ConfigurationError(f"no such label; there are {', '.join(LABELS)}", where="routes", key=text)
    value = value.strip()
    quote = '"'
    if len(value) > 1 and value.startswith(quote) and value.endswith(quote):
        value = value[1:-1]
    return Matcher(label=label, value=value, negated=negated)


def build_labels(incident: Incident) -> dict[str, str]:
    """What matchers ask about, for one incident."""
    return {
        "account": incident.account,
        "region": incident.region,
        "endpoint": incident.endpoint,
        "variant": incident.variant,
        "kind": incident.kind,
        "subject": incident.subject,
        "severity": incident.severity.value,
    }


def decide_receivers(root: Route, labels: Mapping[str, str]) -> tuple[Routed, ...]:
    """Everybody who hears of it, each once, in the order of the tree.

    The root takes all, whatever it says to match.

    Raises
    ------
    ConfigurationError
        A matcher cannot be read.
    """
    chosen: dict[str, Routed] = {}
    for routed in _walk(root, labels, inherited=None, way="default"):
        chosen.setdefault(routed.receiver, routed)
    return tuple(chosen.values())


def _walk(route: Route, labels: Mapping[str, str], *, inherited: str | None, way: str) -> Iterator[Routed]:
    receiver = route.receiver or inherited
    matched = False
    for child in route.routes:
        if not all(parse_matcher(text).holds(labels) for text in child.match):
            continue
        matched = True
        step = ", ".join(child.match) or "everything"
        yield from _walk(child, labels, inherited=receiver, way=f"{way} > {step}")
        if not child.continue_:
            return
    if not matched and receiver is not None:
        yield Routed(receiver=receiver, reason=way)
