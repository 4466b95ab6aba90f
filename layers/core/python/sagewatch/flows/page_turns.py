"""Pages written in turn: several functions write the same ones, at the same time, and the newest state is what stays."""

from __future__ import annotations

from collections.abc import Callable

from sagewatch.errors import ConflictError, RetryError
from sagewatch.incident.page_turn import Ending, begin_turn, cross_turn, end_turn
from sagewatch.world import World

MOST_ROUNDS = 4
"""How often one writer writes again; then its message comes again."""
_ATTEMPTS = 20


def write_in_turn(
    page: str, write: Callable[[], None], read_version: Callable[[], int], world: World
) -> None:
    """Write a page until no other writer, and no change of what it shows, came between.

    Parameters
    ----------
    write
        Reads what is to be shown, and writes all of it.
    read_version
        The version of what is shown.

    Raises
    ------
    RetryError
        Others came between every time; the turn is left open.
    """
    for _ in range(MOST_ROUNDS):
        ticket = _begin(page, world)
        version = read_version()
        write()
        if _end(page, ticket, world, moved=read_version() != version) is not Ending.AGAIN:
            return
    raise RetryError("page_was_crossed")


def leave_open(page: str, world: World) -> None:
    """Leave a page to whoever writes it next, and to the tick should nobody do it."""
    for _ in range(_ATTEMPTS):
        turn = world.state.load_turn(page)
        if turn.crossed:
            return
        try:
            world.state.save_turn(page, cross_turn(turn), world.now())
        except ConflictError:
            continue
        return
    raise ConflictError("turn_was_changed")


def _begin(page: str, world: World) -> str:
    for _ in range(_ATTEMPTS):
        now = world.now()
        turn, ticket = begin_turn(world.state.load_turn(page), now)
        try:
            world.state.save_turn(page, turn, now)
        except ConflictError:
            continue
        return ticket
    raise ConflictError("turn_was_changed")


def _end(page: str, ticket: str, world: World, *, moved: bool) -> Ending:
    for _ in range(_ATTEMPTS):
        now = world.now()
        turn, ending = end_turn(world.state.load_turn(page), ticket, now, moved=moved)
        try:
            world.state.save_turn(page, turn, now)
        except ConflictError:
            continue
        return ending
    raise ConflictError("turn_was_changed")
