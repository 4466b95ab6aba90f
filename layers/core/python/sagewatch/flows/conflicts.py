"""Losing a race is normal: load again and decide again, a few times, before the queue does it for us."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sagewatch.errors import ConflictError

ATTEMPTS = 4
T = TypeVar("T")


def retry_conflicts(attempt: Callable[[], T]) -> T:
    """The result of the first attempt that no other writer crossed.

    Raises
    ------
    ConflictError
        Every attempt was crossed; the message goes back to its queue.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except ConflictError:
            continue
    return attempt()
