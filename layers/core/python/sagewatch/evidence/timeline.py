"""The incident's time drawn: what the evidence, the incident, the endpoint and the alerts did, on one axis.

Positions are in percent of the width and sizes in pixels, so that text keeps its size on a phone.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sagewatch.evidence.axis import Axis, build_axis, draw_axis, sum_pauses
from sagewatch.evidence.capture_lane import LANE_HEIGHT as CAPTURES_HEIGHT
from sagewatch.evidence.capture_lane import draw_captures
from sagewatch.evidence.captures import find_bin_end
from sagewatch.evidence.markup import Markup, join, tag
from sagewatch.incident.amounts import clean_text, format_duration
from sagewatch.incident.doing import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagewatch.evidence.model import Dossier
    from sagewatch.incident.model import Entry, Incident

LANE_HEIGHT = 50
_BAR_TOP, _BAR_HEIGHT = 22, 14
_LABELLED_FROM = 9.0  # percent of the width below which a segment's name would not fit

STAGE_NAMES = {
    "swapping": "swapping",
    "observing": "recording",
    "restoring": "restoring",
    "explaining": "explaining",
}


class Segment(msgspec.Struct, frozen=True):
    """Something that lasted: from, to, how it looks, what it is called."""

    start: datetime
    end: datetime
    look: str
    name: str


def draw_timeline(dossier: Dossier) -> Markup:
    """The drawing. All that it shows is also in the list beneath it."""
    incident = dossier.incident
    stages = list(find_stages(dossier.entries, dossier.made_at))
    axis = _lay_axis(dossier, stages)
    evidence = [
        Segment(one.window.start, one.cleared_at or dossier.made_at, "alarm", "evidence of the finding")
        for one in incident.findings
    ]
    closed = incident.resolved_at or dossier.made_at
    life = [Segment(incident.opened_at, closed, "life", "incident open")]
    hearing = [(told.at, clean_text(f"{told.kind} to {told.receiver}", 80)) for told in dossier.told]
    lanes = [
        ("Evidence", evidence, [(one.raised_at, "found") for one in incident.findings]),
        ("Incident", life, [(e.at, e.what) for e in dossier.entries if e.what == "incident_acknowledged"]),
        ("Endpoint and diagnosis", stages, []),
        ("Alerts", [], hearing),
    ]
    captures = None if dossier.captured is None else draw_captures(dossier.captured, axis)
    above = CAPTURES_HEIGHT if captures else 0
    height = above + LANE_HEIGHT * len(lanes)
    drawn = [_draw_lane(axis, above + number * LANE_HEIGHT, *lane) for number, lane in enumerate(lanes)]
    quiet = f", the {format_duration(sum_pauses(axis))} without an event narrow" if axis.pauses else ""
    label = f"Timeline of {format_duration(axis.end - axis.start)}{quiet}; the list below holds every event."
    drawing = tag(
        "svg", draw_axis(axis, height), captures, drawn,
        class_="timeline", width="100%", height=height + axis.words_height, role="img", aria_label=label,
    )  # fmt: skip
    legend = (tag("li", tag("i", class_=stage.look), stage.name) for stage in stages)
    return join((drawing, tag("ul", legend, class_="legend") if stages else None))


def find_stretch(incident: Incident, entries: Iterable[Entry], now: datetime) -> tuple[datetime, datetime]:
    """From the first that the incident speaks of to the last that happened in it."""
    entries = list(entries)
    times = [
        *(finding.window.start for finding in incident.findings),
        incident.opened_at,
        incident.resolved_at or now,
        *(entry.at for entry in entries),
        *(stage.end for stage in find_stages(entries, now)),
    ]
    return min(times), max(times)


def _lay_axis(dossier: Dossier, stages: Iterable[Segment]) -> Axis:
    """Over all that happened, and was captured."""
    incident, now = dossier.incident, dossier.made_at
    times = [*find_stretch(incident, dossier.entries, now)]
    times += [at for one in incident.findings for at in (one.raised_at, one.window.end, one.cleared_at) if at]
    times += [
        incident.opened_at,
        *(entry.at for entry in dossier.entries),
        *(told.at for told in dossier.told),
    ]
    times += [at for one in stages for at in (one.start, one.end)]
    if (captured := dossier.captured) is not None:
        filled = [one for one in captured.bins if one.predictions or one.rejected]
        times += [captured.bins[0].start, *(one.start for one in filled)]
        times += [find_bin_end(one, captured.step_seconds) for one in filled]
    return build_axis(times, narrows_pauses=True)


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
