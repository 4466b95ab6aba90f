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

AT_ONCE = 5
"""Of a page whose writers are cut short more often than that in a row, a minute is not worth an attempt each."""

SELDOM = 15
"""Minutes between two attempts from then on."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes a page now.

    Attributes
    ----------
    writers
        When each began, by its ticket.
    crossed
        Two wrote at once, or what is shown changed meanwhile: the page may be of two states.
    broken
        How many writers in a row were cut short: a page that cannot be written at all.
    version
        As in ``Incident``.
    """

    writers: dict[str, datetime] = {}
    crossed: bool = False
    broken: int = 0
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
    broken = turn.broken + (len(live) < len(turn.writers))
    writers = {**live, ticket: now}
    return msgspec.structs.replace(turn, writers=writers, crossed=bool(live), broken=broken), ticket


def cross_turn(turn: Turn) -> Turn:
    """What the page shows is about to change: whoever is at it writes again, whoever begins has nothing to make up for."""
    return msgspec.structs.replace(turn, crossed=True)


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
    return msgspec.structs.replace(turn, writers=others, crossed=crossed, broken=0), ending


def is_left_open(turn: Turn, now: datetime) -> bool:
    """Whether the page may be of two states, or half written, and nobody is at it."""
    return not _list_live(turn, now) and (turn.crossed or bool(turn.writers))


def is_worth_waking(turn: Turn, now: datetime) -> bool:
    """Whether somebody is to be woken for a page that is left open: of one that cannot be written, seldom."""
    return is_left_open(turn, now) and (turn.broken < AT_ONCE or now.minute % SELDOM == 0)


def _list_live(turn: Turn, now: datetime) -> dict[str, datetime]:
    return {name: at for name, at in turn.writers.items() if now - at < WRITER_LASTS}
