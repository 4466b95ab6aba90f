"""Who hears of an incident, when, and together with what: a label tree as in Alertmanager, with its reasons.

Source: Prometheus Alertmanager, ``dispatch/route.go`` (children first and in order, the first that matches
unless it says ``continue``, a node's own receiver where no child matches; timers are inherited).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

import msgspec

from sagewatch.finding import build_content_key
from sagewatch.incident.matching import LABELS, all_hold

ALONE = "incident"
"""In ``group_by``: every incident has its own message."""

GROUPABLE = (*LABELS, ALONE)

FINGERPRINT = ("endpoint", "variant", "kind", "subject")
"""Labels that all incidents of a fingerprint share."""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """How the incidents of a route share messages, and when they are spoken of again.

    Attributes
    ----------
    group_by
        Incidents that agree in these labels share a message.
    wait
        How long the first message of a group waits for company.
    interval
        At least this much time lies between a message and the next one about new members.
    repeat
        An incident that nobody acknowledged is spoken of again after this.
    remind
        An acknowledged one that is still open is spoken of again after this.
    """

    group_by: tuple[str, ...] = ("endpoint", "kind")
    wait: timedelta = timedelta(0)
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta = timedelta(hours=4)
    remind: timedelta = timedelta(hours=24)


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else hears as well, once nobody has acknowledged for so long.

    Attributes
    ----------
    after
        Since when people can be told of it without a break, and nobody has acknowledged.
    receiver
        Who hears then.
    match
        Only incidents for which all of these hold.
    """

    after: timedelta
    receiver: str
    match: tuple[str, ...] = ()


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"continue_": "continue"}):
    """A node of the tree. What is None is inherited.

    Attributes
    ----------
    receiver
        Who hears of it.
    match
        Matchers such as ``severity=critical``; all must hold.
    continue_
        Ask the next sibling as well, although this one matched.
    routes
        Children, in order.
    group_by, group_wait, group_interval, repeat_interval, remind_interval
        See ``Timers``.
    escalate
        Who else hears if nobody acknowledges.
    """

    receiver: str | None = None
    match: tuple[str, ...] = ()
    continue_: bool = False
    routes: tuple[Route, ...] = ()
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta | None = None
    group_interval: timedelta | None = None
    repeat_interval: timedelta | None = None
    remind_interval: timedelta | None = None
    escalate: tuple[Escalation, ...] | None = None


class Routed(msgspec.Struct, frozen=True):
    """A receiver that hears of it, and the way through the tree that led there.

    Attributes
    ----------
    reason
        The matchers that led here.
    timers
        How it hears.
    after
        Only if nobody acknowledges for so long.
    """

    receiver: str
    reason: str
    timers: Timers = Timers()
    after: timedelta = timedelta(0)


class Led(msgspec.Struct, frozen=True):
    """A receiver that the tree leads to, and by which of its parts.

    Attributes
    ----------
    through
        The nodes on the way, the root first.
    escalation
        What it hears by, where it does not hear at once.
    """

    routed: Routed
    through: tuple[Route, ...]
    escalation: Escalation | None = None


Holds = Callable[[tuple[str, ...]], bool]


def decide_receivers(root: Route, labels: Mapping[str, str]) -> tuple[Routed, ...]:
    """Everybody who hears of it now or later, each once, in the order of the tree.

    The root takes all, whatever it says to match.

    Raises
    ------
    ConfigurationError
        A matcher cannot be read.
    """
    return tuple(one.routed for one in choose(walk(root, lambda matchers: all_hold(matchers, labels))))


def choose(led: Iterable[Led]) -> tuple[Led, ...]:
    """Of all that the tree leads to, each receiver once: as it hears the earliest."""
    chosen: dict[str, Led] = {}
    for one in sorted(led, key=lambda one: one.routed.after):
        chosen.setdefault(one.routed.receiver, one)
    return tuple(chosen.values())


def walk(root: Route, holds: Holds) -> Iterator[Led]:
    """All that the tree leads to, in its order.

    Parameters
    ----------
    holds
        Whether all of these matchers hold.
    """
    return _walk(root, holds, _Inherited(), way="default", through=())


def find_after(root: Route, labels: Mapping[str, str], target: str) -> timedelta | None:
    """After how long a receiver's channel (``receiver/channel``) hears of it if nobody acknowledges; None: no route leads there."""
    receiver = target.rpartition("/")[0]
    routed = (one.after for one in decide_receivers(root, labels) if one.receiver == receiver)
    return next(routed, None)


def build_group(
    routed: Routed, labels: Mapping[str, str], incident_id: str, *, flapping: bool = False
) -> str:
    """The name of the group that an incident shares its message with, on one route to one receiver.

    Parameters
    ----------
    flapping
        It is summed up: with what its fingerprint opened before, so neither an incident's name nor its severity, nor
        the way that this one leads, parts them.
    """
    if flapping:
        parts = {ALONE: FINGERPRINT, "severity": ()}
        by = dict.fromkeys(label for one in routed.timers.group_by for label in parts.get(one, (one,)))
        return build_content_key(routed.receiver, "flapping", *by, *(labels.get(label, "") for label in by))
    values = [incident_id if label == ALONE else labels.get(label, "") for label in routed.timers.group_by]
    return build_content_key(routed.receiver, routed.reason, *routed.timers.group_by, *values)


class _Inherited(msgspec.Struct, frozen=True):
    receiver: str | None = None
    timers: Timers = Timers()
    escalate: tuple[Escalation, ...] = ()

    def take(self, route: Route) -> _Inherited:
        """What holds at a node: what it says itself, else what its parent says."""
        named = {
            "group_by": route.group_by,
            "wait": route.group_wait,
            "interval": route.group_interval,
            "repeat": route.repeat_interval,
            "remind": route.remind_interval,
        }
        said = {name: value for name, value in named.items() if value is not None}
        return _Inherited(
            receiver=route.receiver or self.receiver,
            timers=msgspec.structs.replace(self.timers, **said),
            escalate=self.escalate if route.escalate is None else route.escalate,
        )


def _walk(
    route: Route, holds: Holds, inherited: _Inherited, *, way: str, through: tuple[Route, ...]
) -> Iterator[Led]:
    here, through = inherited.take(route), (*through, route)
    matched = False
    for child in route.routes:
        if not holds(child.match):
            continue
        matched = True
        step = ", ".join(child.match) or "everything"
        yield from _walk(child, holds, here, way=f"{way} > {step}", through=through)
        if not child.continue_:
            return
    if matched or here.receiver is None:
        return
    yield Led(Routed(here.receiver, way, here.timers), through)
    for escalation in here.escalate:
        if holds(escalation.match):
            minutes = escalation.after.total_seconds() / 60
            reason = f"{way} > not acknowledged for {minutes:g} min"
            routed = Routed(escalation.receiver, reason, here.timers, escalation.after)
            yield Led(routed, through, escalation)
