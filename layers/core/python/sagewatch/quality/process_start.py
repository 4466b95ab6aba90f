"""How a further process begins, and what it costs: anew, or as a copy of this one."""

from __future__ import annotations

import sys
import threading
from typing import Final, NamedTuple


class Start(NamedTuple):
    """How a further process begins.

    Attributes
    ----------
    method
        As ``multiprocessing`` names it.
    worth
        Bytes, as many as are read in the time that it costs: a smaller share is not worth a process.
    head_start
        Bytes that this process reads before the other one has begun.
    """

    method: str
    worth: int
    head_start: int


# A process that imports everything anew takes most of a second; a copy of this one takes milliseconds.
SPAWN: Final = Start("spawn", 32 << 20, 32 << 20)
FORK: Final = Start("fork", 4 << 20, 1 << 20)


def choose_start(*, alone: bool) -> Start:
    """How other processes begin here: as copies of this one where no thread of it can be in the middle of something.

    The threads that libraries start when they are imported (OpenBLAS, jemalloc) are ready for it; Arrow's begin with the
    first file that it reads itself, and macOS is not ready at all.
    """
    copies = alone and sys.platform == "linux" and threading.active_count() == 1
    return FORK if copies else SPAWN
