"""``Together`` in threads: boto3's clients and slack_sdk's may be used by several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
MOST = 8
"""More wait for one of these: a function has few open sockets to spare."""


def side_by_side(works: Sequence[Callable[[], T]]) -> list[T]:
    """The results in order; the first error is raised after all are done."""
    if len(works) <= 1:
        return [work() for work in works]
    with ThreadPoolExecutor(min(len(works), MOST)) as pool:
        waiting = [pool.submit(work) for work in works]
    return [one.result() for one in waiting]
