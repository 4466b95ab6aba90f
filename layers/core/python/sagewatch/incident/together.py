"""Which receivers hear of one incident, at once or where nobody acknowledges: before any comes, from the tree alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import msgspec

from sagewatch.incident.possible import Known
from sagewatch.incident.routing import Route, choose, walk
from sagewatch.incident.unreached import list_all_cases


class Together(msgspec.Struct, frozen=True):
    """Two receivers that can hear of one incident.

    Attributes
    ----------
    first, second
        In the order in which they hear.
    at_once
        Whether the second ever hears without an escalation.
    """

    first: str
    second: str
    at_once: bool


def list_together(root: Route, known: Known) -> Iterator[Together]:
    """Each two receivers that hear of one incident, once; none of a tree that tells too many incidents apart.

    Examples
    --------
    >>> critical = Route("pager", ("severity=critical",), continue_=True)
    >>> any_ = Route("team", ("endpoint=signs",))
    >>> [(one.first, one.second, one.at_once) for one in list_together(Route("team", routes=(critical, any_)), Known())]
    [('pager', 'team', True)]
    """
    found: dict[frozenset[str], Together] = {}
    for true in list_all_cases(root, known):
        for first, second in combinations((one.routed for one in choose(walk(root, true.issuperset))), 2):
            pair = frozenset((first.receiver, second.receiver))
            if pair not in found or (not second.after and not found[pair].at_once):
                found[pair] = Together(first.receiver, second.receiver, not second.after)
    yield from sorted(found.values(), key=lambda one: (one.second, one.first))
