"""The captures of the incident's time, drawn as a lane of the timeline and listed beneath it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.evidence.captures import find_bin_end
from sagewatch.evidence.markup import Child, Markup, foreign, tag
from sagewatch.evidence.trail import build_time
from sagewatch.incident.amounts import format_duration, hold_amounts
from sagewatch.incident.describe import name_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagewatch.evidence.axis import Axis
    from sagewatch.evidence.model import CaptureBin, Captured, Dossier

LANE_HEIGHT = 62
_TOP, _FLOOR = 22, 54
_SWATCH = tag("i", class_="wrong")
_LEAST = 2  # pixels: a bar that nobody sees says that nothing came


def draw_captures(captured: Captured, axis: Axis) -> list[Markup]:
    """A bar a bin: what was captured, and in it what the finding speaks of. Every number is in the list as well."""
    most = max((_count(one) for one in captured.bins), default=0)
    drawn = [
        tag("text", "Captures", x=0, y=14, class_="lane"),
        tag("line", x1="0", x2="100%", y1=_FLOOR, y2=_FLOOR, class_="rail"),
    ]
    for one in captured.bins:
        if _count(one):
            drawn.extend(_draw_bar(one, axis, captured.step_seconds, most))
    return drawn


def _draw_bar(one: CaptureBin, axis: Axis, step_seconds: int, most: int) -> Iterator[Markup]:
    left = axis.place(one.start)
    right = axis.place(find_bin_end(one, step_seconds))
    x, wide = f"{left:.2f}%", f"{(right - left) * 0.86:.2f}%"
    wrong = one.of_subject or one.rejected
    title = f"{one.start:%H:%M:%S}: {_count(one):,} captured{f', {wrong:,} of them in red' if wrong else ''}"

    def draw(count: int, look: str) -> Markup:
        height = max(round(count / most * (_FLOOR - _TOP), 1), _LEAST)
        return tag(
            "rect",
            tag("title", title),
            x=x,
            y=round(_FLOOR - height, 1),
            width=wide,
            height=height,
            class_=look,
        )

    yield draw(_count(one), "captured")
    if wrong:
        yield draw(wrong, "captured wrong")


def list_captured(dossier: Dossier) -> Markup | None:
    """The counts in words, and in a table that is folded away."""
    captured = dossier.captured
    if captured is None:
        return None
    bins = captured.bins
    subject = any(one.of_subject for one in bins)
    rejected = sum(one.rejected for one in bins)
    named = name_class(dossier.incident.subject, dossier.class_names) if subject else ""
    heads: list[Child] = [f"{format_duration(captured.step_seconds)} from", "Predictions"]
    heads += [foreign(named)] if named else []
    heads += ["Unreadable"] if rejected else []
    head = tag(
        "tr",
        (
            tag("th", one, scope="col", class_="number" if number else None)
            for number, one in enumerate(heads)
        ),
    )
    dated = bins[0].start.date() != bins[-1].start.date()
    rows = (_build_row(one, named=bool(named), rejected=bool(rejected), dated=dated) for one in bins)
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="plain")
    last = f"the last at {captured.last_at:%H:%M:%S}. A bar is {format_duration(captured.step_seconds)}"
    told = [
        f"Captures since {_tell_begin(captured)}: {sum(one.predictions for one in bins):,} predictions",
        (", ", _SWATCH, f"{sum(one.of_subject for one in bins):,} of ", foreign(named)) if named else None,
        (", ", _SWATCH, f"{rejected:,} unreadable lines") if rejected else None,
        hold_amounts(f", in {captured.files:,} {'file' if captured.files == 1 else 'files'}, {last}"),
    ]
    how = [
        "A file tells its first and its last time: its predictions are spread evenly between the two.",
        "" if captured.whole else " What was captured before is no longer counted here.",
    ]
    return tag("details", tag("summary", told), tag("p", how, class_="small"), table, class_="captures")


def _tell_begin(captured: Captured) -> str:
    """Without its day where that is the last one's."""
    start = captured.bins[0].start
    return f"{start:%H:%M:%S}" if start.date() == captured.last_at.date() else f"{start:%d %b %H:%M:%S}"


def _build_row(one: CaptureBin, *, named: bool, rejected: bool, dated: bool) -> Markup:
    counts = [one.predictions, *([one.of_subject] if named else []), *([one.rejected] if rejected else [])]
    return tag(
        "tr",
        tag("th", build_time(one.start, dated=dated), scope="row"),
        (tag("td", f"{count:,}", class_="number") for count in counts),
    )


def _count(one: CaptureBin) -> int:
    return one.predictions + one.rejected
