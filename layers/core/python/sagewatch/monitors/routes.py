"""The part of monitors.yml that says who hears what, and when nobody does: routes, inhibition, windows, flapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.incident.calendar import Recurrence, parse_recurrence
from sagewatch.incident.flapping import OPENINGS_KEPT, Flapping
from sagewatch.incident.inhibition import Inhibition
from sagewatch.incident.matching import LABELS, parse_matcher
from sagewatch.incident.muting import Window
from sagewatch.incident.possible import Known, find_impossible
from sagewatch.incident.routing import GROUPABLE, Escalation, Route
from sagewatch.incident.unreached import find_surely_unreached
from sagewatch.monitors.receivers import Receiver
from sagewatch.section import (
    Section,
    read_at_most,
    read_duration,
    read_list,
    read_switch,
    read_text,
    read_wait,
)

_READ_BUDGET = read_at_most(OPENINGS_KEPT, "so many openings of a fingerprint are remembered")


def list_heard(route: Route) -> set[str]:
    """The receivers that a tree of routes leads to, at once or by escalation."""
    named = {route.receiver} if route.receiver else set()
    named |= {one.receiver for one in route.escalate or ()}
    return named.union(*(list_heard(child) for child in route.routes))


def read_routes(
    top: Section, receivers: Mapping[str, Receiver], known: Known, *, played: bool = False
) -> Route:
    """The tree of routes; without one, the only receiver hears everything.

    Parameters
    ----------
    played
        It was in force when something was recorded: a part of it by which nobody hears is no reason not to play that.
    """
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
    read = _Read([])
    route = _read_route(section, receivers, known, (), read)
    for one in find_surely_unreached(route) if not played else ():
        raise read.find(one).wrong(tell_unreached(one))
    return route


def tell_unreached(one: Route | Escalation) -> str:
    """Why nobody hears by a part of the tree."""
    if isinstance(one, Route):
        return "is never reached: what stands before it takes all that it matches"
    return f"never fires: {one.receiver} hears of all that it matches at once or earlier, or none of that comes here"


class _Read(msgspec.Struct):
    """Where each route and each escalation stands in the file."""

    places: list[tuple[Route | Escalation, Section]]

    def find(self, one: Route | Escalation) -> Section:
        return next(section for known, section in self.places if known is one)


def _read_route(
    section: Section, receivers: Mapping[str, Receiver], known: Known, above: tuple[str, ...], read: _Read
) -> Route:
    section.expect(
        "receiver", "match", "continue", "routes", "group_by", "group_wait", "group_interval", "repeat_interval",
        "remind_interval", "escalate",
    )  # fmt: skip
    match = _take_matchers(section, "match", known, above)
    inside = section.sections("routes", "route")
    children = [_read_route(one, receivers, known, (*above, *match), read) for one in inside]
    receiver = _take_receiver(section, receivers)
    route = Route(
        receiver=receiver,
        match=match,
        continue_=section.take("continue", read_switch, default=False),
        group_by=section.take("group_by", _read_group_by, None),
        group_wait=section.take("group_wait", read_wait, None),
        group_interval=section.take("group_interval", read_wait, None),
        repeat_interval=section.take("repeat_interval", read_duration, None),
        remind_interval=section.take("remind_interval", read_duration, None),
        escalate=_read_escalations(section, receivers, known, (*above, *match), receiver, read),
        routes=tuple(children),
    )
    read.places.append((route, section))
    return route


def _read_escalations(
    section: Section,
    receivers: Mapping[str, Receiver],
    known: Known,
    above: tuple[str, ...],
    hears: str | None,
    read: _Read,
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
        read.places.append((found[-1], one))
    return tuple(found) if given else None


def _take_receiver(section: Section, receivers: Mapping[str, Receiver]) -> str | None:
    receiver = section.take("receiver", read_text, None)
    if receiver is not None and receiver not in receivers:
        raise section.fail(
            "receiver", f"{receiver} is no receiver; there are {', '.join(receivers) or 'none'}"
        )
    return receiver


def _read_group_by(value: Any) -> tuple[str, ...]:
    labels = read_list(value)
    for label in labels:
        if label not in GROUPABLE:
            raise ValueError(f"{label} is no label to group by; there are {', '.join(GROUPABLE)}")
    return labels


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
        budget=section.take("budget", _READ_BUDGET, plain.budget),
        per=section.take("per", read_duration, plain.per),
        digest=section.take("digest", read_duration, plain.digest),
    )


def _read_recurrence(value: Any) -> Recurrence:
    return parse_recurrence(read_text(value))


def _read_labels(value: Any) -> tuple[str, ...]:
    labels = read_list(value)
    for label in labels:
        if label not in LABELS:
            raise ValueError(f"{label} is no label; there are {', '.join(LABELS)}")
    return labels


def _take_matchers(section: Section, key: str, known: Known, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Matchers that can hold, together with those of the routes above."""

    def read(value: Any) -> tuple[str, ...]:
        matchers = _read_matchers(value)
        if impossible := find_impossible((*above, *matchers), known):
            raise ValueError(f"can never hold: {impossible}")
        return matchers

    return section.take(key, read, ())


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
