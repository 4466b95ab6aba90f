"""Whose turn it is to write a page that several functions write: the last writer shows the newest, and alone.

Nobody waits for a turn. Whoever ends while another still writes leaves the page to that one; whoever ends last
and was crossed writes again. A writer that was cut short leaves its turn open, and the tick sees it.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import msgspec

WRITER_LASTS = timedelta(minutes=2)
"""A writer that began longer ago is dead: no function that writes pages may run for so long."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes a page now.

    Attributes
    ----------
    writers
        When each began, by its ticket.
    crossed
        Two wrote at once, or what is shown changed meanwhile: the page may be of two states.
    version
        As in ``Incident``.
    """

    writers: dict[str, datetime] = {}
    crossed: bool = False
    version: int = 0


class Ending(enum.Enum):
    """What a writer has to do when all is written."""

    DONE = "done"
    LEFT = "left"  # another is at it, and ends later
    AGAIN = "again"


def begin_turn(turn: Turn, now: datetime) -> tuple[Turn, str]:
    """Add a writer; the turn to store and the writer's ticket."""
    live = _list_live(turn, now)
    ticket = f"{now.isoformat()}#{turn.version}"
    return msgspec.structs.replace(turn, writers={**live, ticket: now}, crossed=bool(live)), ticket


def end_turn(turn: Turn, ticket: str, now: datetime, *, moved: bool) -> tuple[Turn, Ending]:
    """Take a writer out; the turn to store, and what the writer does next.

    Parameters
    ----------
    moved
        What it showed has changed since.
    """
    others = {name: at for name, at in _list_live(turn, now).items() if name != ticket}
    crossed = bool(others) or turn.crossed or moved or ticket not in turn.writers
    ending = Ending.LEFT if others else Ending.AGAIN if crossed else Ending.DONE
    return msgspec.structs.replace(turn, writers=others, crossed=crossed), ending


def is_left_open(turn: Turn, now: datetime) -> bool:
    """Whether the page may be of two states, or half written, and nobody is at it."""
    return not _list_live(turn, now) and (turn.crossed or bool(turn.writers))


def _list_live(turn: Turn, now: datetime) -> dict[str, datetime]:
    return {name: at for name, at in turn.writers.items() if now - at < WRITER_LASTS}
