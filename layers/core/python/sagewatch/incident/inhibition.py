"""Which open incident explains which: while the one is open, nobody is told of the other.

Asked once for each incident of a message, so all that is open is looked through once: a rule parts it by the values in
which both sides must agree, and incidents that explain each other in a circle are found in one pass.

Source: Prometheus Alertmanager, ``inhibit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property

import msgspec

from sagewatch.incident.circles import find_components
from sagewatch.incident.matching import all_hold


class Inhibition(msgspec.Struct, frozen=True, kw_only=True):
    """While one incident is open, others that follow from it are not told.

    Attributes
    ----------
    when
        Matchers of the incident that explains.
    mutes
        Matchers of the incidents that it explains.
    equal
        Labels in which both must agree.
    """

    when: tuple[str, ...]
    mutes: tuple[str, ...]
    equal: tuple[str, ...] = ()


class Open(msgspec.Struct, frozen=True):
    """An incident that is not resolved, or was not at a moment that is asked about, as far as inhibition asks.

    Attributes
    ----------
    over_at
        Since when it is over; None where it is not.
    """

    incident_id: str
    labels: dict[str, str]
    over_at: datetime | None = None

    def was_there(self, at: datetime) -> bool:
        """Whether it was open then: ids sort by the second in which an incident opened."""
        second = f"{at:%Y%m%dT%H%M%SZ}"
        is_over = self.over_at is not None and self.over_at < at
        return self.incident_id[: len(second)] <= second and not is_over


class _Side(msgspec.Struct, frozen=True):
    """Those who explain by one rule, where they agree in its labels with whom they explain.

    Attributes
    ----------
    rule
        Its number.
    of_one_side
        Only those that the rule does not mute as well. As in Alertmanager, what matches both sides of a rule cannot
        mute what matches both: neither would be told.
    values
        Of the labels in which both must agree.
    """

    rule: int
    of_one_side: bool
    values: tuple[str, ...]


class _Above(msgspec.Struct, frozen=True):
    """All that explains an incident, by way of others too, and it itself.

    Attributes
    ----------
    origin
        The number of the circle in which all of it begins; None where it begins in more than one place.
    first
        The least of the ids.
    """

    origin: int | None
    first: str


class Explanations:
    """Who explains whom among what is open."""

    def __init__(self, rules: Sequence[Inhibition], open_now: Sequence[Open]) -> None:
        self._rules, self._open = rules, open_now
        self._sides: dict[_Side, list[int]] = {}
        for number, rule in enumerate(rules):
            for place, one in enumerate(open_now):
                if not all_hold(rule.when, one.labels):
                    continue
                values = _read(rule, one.labels)
                self._sides.setdefault(_Side(number, False, values), []).append(place)
                if not all_hold(rule.mutes, one.labels):
                    self._sides.setdefault(_Side(number, True, values), []).append(place)

    def find_source(self, incident_id: str, labels: Mapping[str, str]) -> Open | None:
        """The open incident by which this one is not told; None where it is told.

        Of a circle that nothing outside explains (critical mutes warning, unreadable mutes no data) the earliest is
        told: else all of it would be silent for ever.
        """
        sides = self._list_sides(labels)
        sources = (self._open[place] for side in sides for place in self._sides[side])
        source = next((one for one in sources if one.incident_id != incident_id), None)
        if source is None or not self._list_sides(source.labels):
            return source  # the usual cases, and cheap: nothing explains it, or its explanation is told
        return None if self._speaks_for_its_circle(incident_id, labels, sides) else source

    def _list_sides(self, labels: Mapping[str, str]) -> list[_Side]:
        """Those who explain an incident with these labels, by each of the rules; the incident itself may be among them."""
        wanted = (
            _Side(number, all_hold(rule.when, labels), _read(rule, labels))
            for number, rule in enumerate(self._rules)
            if all_hold(rule.mutes, labels)
        )
        return [side for side in wanted if side in self._sides]

    def _speaks_for_its_circle(
        self, incident_id: str, labels: Mapping[str, str], sides: Iterable[_Side]
    ) -> bool:
        place = self._places.get(incident_id)
        if place is None:
            return False  # it explains nothing yet
        circles, above = self._circles
        own = circles[place]
        found = [above[own]]
        if self._open[place].labels != labels:  # it has changed since, so others may explain it
            if not self._list_sides(self._open[place].labels):
                return False  # nothing explained it when it was looked at last: it was no circle
            others = {circles[one] for side in sides for one in self._sides[side] if one != place}
            found = [above[one] for one in others]
        return all(one.origin == own for one in found) and min(one.first for one in found) == incident_id

    @cached_property
    def _places(self) -> dict[str, int]:
        return {one.incident_id: place for place, one in enumerate(self._open)}

    @cached_property
    def _circles(self) -> tuple[list[int], list[_Above]]:
        """The number of the circle of each open incident, and what stands above each circle.

        Who is in none is a circle of one: so is who is told.
        """
        numbers = {side: len(self._open) + number for number, side in enumerate(self._sides)}
        explained_by = [[numbers[side] for side in self._list_sides(one.labels)] for one in self._open]
        explained_by += self._sides.values()
        circle_of, above = [0] * len(explained_by), list[_Above]()
        for circle in find_components(explained_by):
            for vertex in circle:
                circle_of[vertex] = len(above)
            over = {circle_of[one] for vertex in circle for one in explained_by[vertex]} - {len(above)}
            above.append(self._merge(circle, [above[one] for one in over], len(above)))
        return circle_of, above

    def _merge(self, circle: Iterable[int], over: Sequence[_Above], number: int) -> _Above:
        origins = {one.origin for one in over} or {number}
        names = [self._open[vertex].incident_id for vertex in circle if vertex < len(self._open)]
        first = min([*names, *(one.first for one in over)])
        return _Above(origins.pop() if len(origins) == 1 else None, first)


def _read(rule: Inhibition, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(label, "") for label in rule.equal)
