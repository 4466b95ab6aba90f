"""The circles of a graph: vertices that lead to each other.

Source: Tarjan (1972), "Depth-first search and linear graph algorithms", without recursion: a chain may be long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def find_components(leads_to: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The strongly connected components, each after all that it leads to; in time linear in vertices and edges.

    Parameters
    ----------
    leads_to
        For each vertex those that it leads to.

    Examples
    --------
    >>> [sorted(circle) for circle in find_components([[1], [2], [1], [0, 2]])]
    [[1, 2], [0], [3]]
    """
    reached: dict[int, int] = {}  # in which turn
    lowest: dict[int, int] = {}  # the earliest turn that it leads back to
    pending, done = list[int](), set[int]()
    for start in range(len(leads_to)):
        path = [] if start in reached else [(start, iter(leads_to[start]))]
        while path:
            vertex, following = path[-1]
            if vertex not in reached:
                reached[vertex] = lowest[vertex] = len(reached)
                pending.append(vertex)
            one = next(following, None)
            if one is not None and one not in reached:
                path.append((one, iter(leads_to[one])))
            elif one is not None:
                if one not in done:
                    lowest[vertex] = min(lowest[vertex], reached[one])
            else:
                path.pop()
                if path:
                    before = path[-1][0]
                    lowest[before] = min(lowest[before], lowest[vertex])
                if lowest[vertex] == reached[vertex]:
                    yield _take(pending, vertex, done)


def _take(pending: list[int], first: int, done: set[int]) -> list[int]:
    """The circle that begins with this vertex: all that was reached after it and leads back to it."""
    circle = list[int]()
    while first not in done:
        circle.append(pending.pop())
        done.add(circle[-1])
    return circle
