"""Work that one run does for many messages: a stream is judged once a batch, and not once a file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sagewatch.events import Fact
from sagewatch.world import World


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a message still owes after its own part is safe; equal keys within a batch are run once.

    The message counts as handled only when this ran: if it fails, every message that owes it comes again.
    """

    key: Hashable
    run: Callable[[], None]


Flow = Callable[[Fact, World], FollowUp | None]


def run_through(flow: Flow, fact: Fact, world: World) -> None:
    """One fact alone, with what it owes, at once."""
    follow_up = flow(fact, world)
    if follow_up is not None:
        follow_up.run()
