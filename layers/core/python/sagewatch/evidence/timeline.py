"""The incident's time drawn: what the evidence, the incident, the endpoint and the alerts did, on one axis.

Positions are in percent of the width and sizes in pixels, so that text keeps its size on a phone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sagewatch.evidence.markup import Markup, join, tag
from sagewatch.incident.amounts import clean_text, format_duration
from sagewatch.incident.doing import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagewatch.evidence.model import Dossier
    from sagewatch.incident.model import Entry

LANE_HEIGHT = 50
_BAR_TOP, _BAR_HEIGHT = 22, 14
_LABELLED_FROM = 9.0  # percent of the width below which a segment's name would not fit

STAGE_NAMES = {
    "swapping": "swapping",
    "observing": "recording",
    "restoring": "restoring",
    "explaining": "explaining",
}


class Axis(msgspec.Struct, frozen=True):
    """A stretch of time laid over the width of a drawing."""

    start: datetime
    end: datetime

    def place(self, at: datetime) -> float:
        """Where a time lies, in percent from the left."""
        length = (self.end - self.start).total_seconds()
        return min(100.0, max(0.0, (at - self.start).total_seconds() / length * 100)) if length else 0.0


class Segment(msgspec.Struct, frozen=True):
    """Something that lasted: from, to, how it looks, what it is called."""

    start: datetime
    end: datetime
    look: str
    name: str


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


def draw_timeline(dossier: Dossier) -> Markup:
    """The drawing. All that it shows is also in the list beneath it."""
    incident = dossier.incident
    stages = list(find_stages(dossier.entries, dossier.made_at))
    windows = [finding.window.start for finding in incident.findings]
    ends = [incident.resolved_at or dossier.made_at]
    times = [*windows, incident.opened_at, *ends, *(entry.at for entry in dossier.entries)]
    axis = build_axis([*times, *(told.at for told in dossier.told), *(stage.end for stage in stages)])
    evidence = [
        Segment(one.window.start, one.cleared_at or dossier.made_at, "alarm", "evidence of the finding")
        for one in incident.findings
    ]
    life = [Segment(incident.opened_at, ends[0], "life", "incident open")]
    hearing = [(told.at, clean_text(f"{told.kind} to {told.receiver}", 80)) for told in dossier.told]
    lanes = [
        ("Evidence", evidence, [(one.raised_at, "found") for one in incident.findings]),
        ("Incident", life, [(e.at, e.what) for e in dossier.entries if e.what == "incident_acknowledged"]),
        ("Endpoint and diagnosis", stages, []),
        ("Alerts", [], hearing),
    ]
    height = LANE_HEIGHT * len(lanes)
    drawn = [_draw_lane(axis, number * LANE_HEIGHT, *lane) for number, lane in enumerate(lanes)]
    label = f"Timeline of {format_duration(axis.end - axis.start)}; the list below holds every event."
    drawing = tag(
        "svg", draw_axis(axis, height), drawn,
        class_="timeline", width="100%", height=height + 24, role="img", aria_label=label,
    )  # fmt: skip
    legend = (tag("li", tag("i", class_=stage.look), stage.name) for stage in stages)
    return join((drawing, tag("ul", legend, class_="legend") if stages else None))


def find_stages(entries: Iterable[Entry], now: datetime) -> Iterator[Segment]:
    """The stretches of the diagnosis, from what the audit trail says of its stages; the last may run on."""
    begun: dict[str, datetime] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        stage = entry.what.removeprefix("diagnosis_")
        if stage != entry.what and (stage in RUNNING or stage in {"finished", "abandoned"}):
            begun.setdefault(stage, entry.at)
    marks = list(begun.items())
    for number, (stage, start) in enumerate(marks):
        if stage in RUNNING:
            end = marks[number + 1][1] if number + 1 < len(marks) else now
            yield Segment(start, end, stage, STAGE_NAMES[stage])


def _draw_lane(
    axis: Axis, top: float, name: str, segments: list[Segment], marks: list[tuple[datetime, str]]
) -> list[Markup]:
    middle = top + _BAR_TOP + _BAR_HEIGHT / 2
    drawn = [
        tag("text", name, x=0, y=top + 14, class_="lane"),
        tag("line", x1="0", x2="100%", y1=middle, y2=middle, class_="rail"),
    ]
    for segment in segments:
        drawn.extend(_draw_segment(axis, top + _BAR_TOP, segment))
    for at, title in marks:
        x = f"{axis.place(at):.2f}%"
        drawn.append(
            tag(
                "circle",
                tag("title", f"{at:%H:%M:%S} {title}"),
                cx=x,
                cy=middle,
                r=5,
                class_=f"mark {_find_look(title)}",
            )
        )
    return drawn


def _find_look(title: str) -> str:
    """Updates are many and say little: they are drawn smaller."""
    first = title.partition(" ")[0]
    return first if first in {"firing", "updated", "resolved"} else "other"


def _draw_segment(axis: Axis, top: float, segment: Segment) -> Iterator[Markup]:
    left, right = axis.place(segment.start), axis.place(segment.end)
    title = f"{segment.name}: {segment.start:%H:%M:%S} to {segment.end:%H:%M:%S}"
    yield tag(
        "rect", tag("title", title), x=f"{left:.2f}%", y=top, width=f"{max(right - left, 0.4):.2f}%",
        height=_BAR_HEIGHT, rx=3, class_=f"seg {segment.look}",
    )  # fmt: skip
    if segment.look in RUNNING and right - left >= _LABELLED_FROM:
        middle = f"{(left + right) / 2:.2f}%"
        yield tag("text", segment.name, x=middle, y=top + 11, text_anchor="middle", class_="inside")
