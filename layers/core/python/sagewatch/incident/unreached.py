"""Routes that nothing reaches and escalations that never fire, whatever comes: told before a night without a page.

Every incident that there can be is routed, as far as the matchers of the tree tell incidents apart: each severity, each
kind, each endpoint of monitors.yml and one that it does not name, and of the other labels what the matchers name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import msgspec

from sagewatch.incident.matching import Matcher, parse_matcher
from sagewatch.incident.possible import Known
from sagewatch.incident.routing import Escalation, Route, choose, walk

MOST_CASES = 4_000
"""Trees that tell more incidents apart than that are taken as they are."""

_OTHER = "\0"  # a value that no matcher names


def find_unreached(root: Route, known: Known) -> Iterator[Route | Escalation]:
    """The nodes that nothing reaches, and the escalations by which nobody ever hears: themselves, for equal ones may do.

    Examples
    --------
    >>> from sagewatch.incident.possible import Known
    >>> team = Route("team", ("severity!=info",))
    >>> pager = Route("pager", ("severity=critical",))
    >>> [one.receiver for one in find_unreached(Route("team", routes=(team, pager)), Known())]
    ['pager']
    """
    routes = list(_list_routes(root))
    escalations = [one for route in routes for one in route.escalate or ()]
    parts: list[Route | Escalation] = [*routes, *escalations]
    reached = set[int]()
    for true in list_all_cases(root, known):
        led = list(walk(root, true.issuperset))
        reached.update(id(node) for one in led for node in one.through)
        reached.update(id(one.escalation) for one in choose(led))
    if reached:  # else nobody hears of anything, or there are too many cases
        yield from (one for one in parts if id(one) not in reached)


def find_surely_unreached(root: Route) -> Iterator[Route | Escalation]:
    """Those that hear of nothing whichever endpoints are listed, and whatever a route's children make of its escalations.

    Examples
    --------
    >>> one, any_ = (Route("pager", (f"endpoint{value}",)) for value in ("=prod-a", "=~prod-.*"))
    >>> tree = Route("team", routes=(one, any_))
    >>> [len(list(find)) for find in (find_unreached(tree, Known(("prod-a",))), find_surely_unreached(tree))]
    [1, 0]
    """
    inherited, alone = set[int](), set[int]()
    for route in _list_routes(root):
        if route.routes:
            inherited.update(id(one) for one in route.escalate or ())
            childless = msgspec.structs.replace(route, routes=())
            alone.update(id(one) for one in find_unreached(childless, Known()) if isinstance(one, Escalation))
    for one in find_unreached(root, Known()):
        if id(one) not in inherited or id(one) in alone:
            yield one


def list_all_cases(root: Route, known: Known) -> Iterator[frozenset[str]]:
    """The incidents that the tree tells apart, each as those of its matchers that hold; none where they are too many."""
    routes = list(_list_routes(root))
    texts = {text for one in routes for text in one.match}
    texts |= {text for one in routes for escalation in one.escalate or () for text in escalation.match}
    yield from _list_cases(sorted(texts), known)


def _list_routes(route: Route) -> Iterator[Route]:
    yield route
    for child in route.routes:
        yield from _list_routes(child)


def _list_cases(texts: Sequence[str], known: Known) -> Iterator[frozenset[str]]:
    """Which of the matchers hold together; nothing where there are too many cases."""
    by_label: dict[str, list[tuple[str, Matcher]]] = {}
    for text in texts:
        matcher = parse_matcher(text)
        by_label.setdefault(matcher.label, []).append((text, matcher))
    cases = {frozenset[str]()}
    for label, matchers in by_label.items():
        if 2 ** sum(one.pattern for _, one in matchers) > MOST_CASES:
            return
        found = set(_list_of_label(label, matchers, known))
        if len(cases) * len(found) > MOST_CASES:
            return
        cases = {one | other for one in cases for other in found}
    yield from cases


def _list_of_label(
    label: str, matchers: Sequence[tuple[str, Matcher]], known: Known
) -> Iterator[frozenset[str]]:
    """Which matchers of one label hold, for each value that it can have."""
    named = {one.value for _, one in matchers if not one.pattern}
    for value in {*known.list_values(label), *named}:
        yield frozenset(text for text, one in matchers if one.holds({label: value}))
    if label == "severity":
        return
    # A value that is not known here may be found by any pattern. Of endpoints, those of the file are meant: but who
    # leaves some out means those to come as well.
    to_come = label != "endpoint" or not known.endpoints
    patterns = {
        one.value for _, one in matchers if one.pattern and not one.finds(_OTHER) and (to_come or one.negated)
    }
    for bits in product((False, True), repeat=len(patterns)):
        finds = {value for value, bit in zip(sorted(patterns), bits, strict=True) if bit}
        yield frozenset(
            text
            for text, one in matchers
            if (one.finds(_OTHER) or (one.pattern and one.value in finds)) is not one.negated
        )
