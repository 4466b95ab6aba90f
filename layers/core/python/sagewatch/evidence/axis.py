"""The axis of time that the page's drawings share: places in percent of the width.

Hours without an event would press together what matters: such a pause is drawn narrow, and says how long it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from sagewatch.evidence.markup import Markup, tag
from sagewatch.incident.amounts import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PAUSE_FROM: Final = timedelta(hours=1)
"""Nothing shorter is a pause."""

TIMES_BUSY: Final = 3
"""A pause is so many times as long as all that is no pause."""

_PAUSE_WIDTH, _ALL_PAUSES = 10.0, 40.0
"""Percent of the width that a pause takes, and all of them at the most."""

_LEAST_WIDTH, _ALL_LEAST = 15.0, 30.0
"""Percent that a stretch between two pauses takes at the least: its marks can be told apart."""

_TOLD_ON_PHONE, _TOLD = 2, 6
"""Of more pauses than that the length is told by their titles alone."""


class Stretch(msgspec.Struct, frozen=True):
    """A part of the axis: from, to, and where it lies; or a pause."""

    start: datetime
    end: datetime
    left: float
    right: float
    is_pause: bool = False


class Axis(msgspec.Struct, frozen=True):
    """A stretch of time laid over the width of a drawing, in one part or with pauses between several."""

    stretches: tuple[Stretch, ...]

    @property
    def start(self) -> datetime:
        """Where it begins."""
        return self.stretches[0].start

    @property
    def end(self) -> datetime:
        """Where it ends."""
        return self.stretches[-1].end

    @property
    def words_height(self) -> int:
        """Pixels that its words take beneath the drawing."""
        return 40 if self.pauses else 24

    @property
    def pauses(self) -> list[Stretch]:
        """Its pauses."""
        return [one for one in self.stretches if one.is_pause]

    def place(self, at: datetime) -> float:
        """Where a time lies, in percent from the left."""
        for one in self.stretches:
            if at <= one.end:
                length = (one.end - one.start).total_seconds()
                share = max(0.0, (at - one.start).total_seconds() / length) if length else 0.0
                return one.left + share * (one.right - one.left)
        return 100.0


def build_axis(times: Iterable[datetime], *, narrows_pauses: bool = False) -> Axis:
    """The stretch that holds all times, with a little air on both sides.

    Parameters
    ----------
    narrows_pauses
        The times are of all that happened, beginnings and ends: where nothing did for long, the axis is narrow.
    """
    known = sorted(times)
    pauses = _find_pauses(known) if narrows_pauses else []
    busy = known[-1] - known[0] - sum((end - start for start, end in pauses), timedelta(0))
    air = max(busy * 0.02, timedelta(seconds=1))
    # A hostile time at the edge of the calendar gets as much air as there is.
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    start, end = known[0] - min(air, known[0] - first), known[-1] + min(air, last - known[-1])
    edges = [start, *(edge for begun, over in pauses for edge in (begun + air, over - air)), end]
    return Axis(tuple(_lay(list(pairwise(edges)))))


def sum_pauses(axis: Axis) -> timedelta:
    """How long its pauses are together."""
    return sum((one.end - one.start for one in axis.pauses), timedelta(0))


def draw_axis(axis: Axis, top: float, count: int = 4) -> Iterator[Markup]:
    """Times along the bottom, to the second where the stretch is short; at the edges of pauses, where there are any."""
    length = axis.end - axis.start
    dated = "%d %b %H:%M" if axis.pauses else "%d %b"
    form = "%H:%M:%S" if length < timedelta(minutes=30) else "%H:%M" if length < timedelta(days=1) else dated
    if axis.pauses:
        yield from _draw_pauses(axis, top, form)
        return
    for step in range(count + 1):
        share = step / count
        anchor = "start" if step == 0 else "end" if step == count else "middle"
        yield from _draw_tick(share * 100, top, f"{axis.start + length * share:{form}}", anchor)


def _draw_pauses(axis: Axis, top: float, form: str) -> Iterator[Markup]:
    for one in axis.stretches:
        if one.is_pause:
            length = format_duration(one.end - one.start)
            said = f"{one.start:%d %b %H:%M} to {one.end:%d %b %H:%M}: no event for {length}"
            x, width = f"{one.left:.2f}%", f"{one.right - one.left:.2f}%"
            yield tag(
                "rect", tag("title", said), x=x, y=0, width=width, height=top, class_="pause",
            )  # fmt: skip
            middle = f"{(one.left + one.right) / 2:.2f}%"
            # Below the times: on a phone it is wider than its pause.
            kind = "tick" if len(axis.pauses) <= _TOLD_ON_PHONE else "tick inner"
            if len(axis.pauses) <= _TOLD:
                yield tag("text", length, x=middle, y=top + 32, text_anchor="middle", class_=kind)
    yield from _draw_tick(0.0, top, f"{axis.start:{form}}", "start")
    yield from _draw_tick(100.0, top, f"{axis.end:{form}}", "end")


def _draw_tick(place: float, top: float, text: str, anchor: str) -> Iterator[Markup]:
    x = f"{place:.2f}%"
    kind = "tick inner" if anchor == "middle" else "tick"
    yield tag("line", x1=x, x2=x, y1=0, y2=top, class_="grid")
    yield tag("text", text, x=x, y=top + 16, text_anchor=anchor, class_=kind)


def _find_pauses(known: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """The stretches without an event, where they are long beside all with one."""
    gaps = [(start, end) for start, end in pairwise(known) if end - start >= PAUSE_FROM]
    busy = known[-1] - known[0] - sum((end - start for start, end in gaps), timedelta(0))
    return [gap for gap in gaps if gap[1] - gap[0] >= TIMES_BUSY * busy]


def _lay(parts: Sequence[tuple[datetime, datetime]]) -> Iterator[Stretch]:
    """The parts side by side: each second one is a pause; the others share the rest of the width by their length."""
    busy = parts[::2]
    total = sum((end - start for start, end in busy), timedelta(0))
    pauses = len(parts) - len(busy)
    narrow = min(_PAUSE_WIDTH, _ALL_PAUSES / pauses) if pauses else 0.0
    least = min(_LEAST_WIDTH, _ALL_LEAST / len(busy)) if pauses else 0.0
    free = 100.0 - narrow * pauses - least * len(busy)
    left = 0.0
    for number, (start, end) in enumerate(parts):
        is_pause = bool(number % 2)
        share = (end - start) / total if total else 1 / len(busy)
        right = left + (narrow if is_pause else least + share * free)
        yield Stretch(start, end, left, right, is_pause)
        left = right
