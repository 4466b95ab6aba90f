"""Choosing some of many evenly: the same rule for captured requests and for recorded steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spaced, in their order.

    >>> spread([0, 1, 2, 3, 4, 5, 6, 7], 4)
    [0, 2, 4, 6]
    """
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]
