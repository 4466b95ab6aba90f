"""The axis of time that the page's drawings share: places in percent of the width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sagewatch.evidence.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Axis(msgspec.Struct, frozen=True):
    """A stretch of time laid over the width of a drawing."""

    start: datetime
    end: datetime

    def place(self, at: datetime) -> float:
        """Where a time lies, in percent from the left."""
        length = (self.end - self.start).total_seconds()
        return min(100.0, max(0.0, (at - self.start).total_seconds() / length * 100)) if length else 0.0


def build_axis(times: Iterable[datetime]) -> Axis:
    """The stretch that holds all times, with a little air on both sides."""
    known = sorted(times)
    start, end = known[0], known[-1]
    air = max((end - start) * 0.02, timedelta(seconds=1))
    # A hostile time at the edge of the calendar gets as much air as there is.
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return Axis(start - min(air, start - first), end + min(air, last - end))


def draw_axis(axis: Axis, top: float, count: int = 4) -> Iterator[Markup]:
    """Times along the bottom, to the second where the stretch is short."""
    length = axis.end - axis.start
    form = (
        "%H:%M:%S" if length < timedelta(minutes=30) else "%H:%M" if length < timedelta(days=2) else "%d %b"
    )
    for step in range(count + 1):
        share = step / count
        anchor = "start" if step == 0 else "end" if step == count else "middle"
        at = axis.start + length * share
        x = f"{share * 100:.2f}%"
        kind = "tick" if step in {0, count} else "tick inner"
        yield tag("line", x1=x, x2=x, y1=0, y2=top, class_="grid")
        yield tag("text", f"{at:{form}}", x=x, y=top + 16, text_anchor=anchor, class_=kind)
