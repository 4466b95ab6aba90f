"""Plots as inline SVG: the detector's evidence over time, and class shares beside the baseline's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sagewatch.evidence.axis import build_axis, draw_axis
from sagewatch.evidence.markup import Markup, foreign, tag
from sagewatch.incident.amounts import format_share
from sagewatch.incident.describe import name_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sagewatch.evidence.axis import Axis
    from sagewatch.evidence.model import Dossier, TracePoint
    from sagewatch.finding import Finding

HEIGHT = 210
_TOP = 22
_FLOOR = -8.0  # below it the evidence says nothing at all: the scale is kept for what matters
_PLAIN_POWERS = 4
_EXPONENTS = 308
_MEASURED = 100  # detectors count no further than 10^300: beyond this the power is theirs, not the traffic's
CLASSES_SHOWN = 12


class _Scale:
    """Turns log10 excess into pixels from the top."""

    def __init__(self, trace: Sequence[TracePoint]) -> None:
        values = [max(point.log10_excess, _FLOOR) for point in trace]
        self.low = min(math.floor(min(values)), -1)
        self.high = max(math.ceil(max(values) + 0.2), 1)

    def place(self, value: float) -> float:
        share = (max(value, self.low) - self.low) / (self.high - self.low)
        return round(HEIGHT - share * (HEIGHT - _TOP), 1)

    def ticks(self) -> Iterator[int]:
        step = max(1, math.ceil((self.high - self.low) / 5))
        yield from (value for value in range(self.low, self.high + 1) if value % step == 0 and value != 0)


def draw_trace(dossier: Dossier, trace: Sequence[TracePoint]) -> Markup:
    """Evidence over time on a logarithmic scale; the dashed line is the alarm's threshold.

    Parameters
    ----------
    trace
        At least one point; all of them finite.
    """
    scale = _Scale(trace)
    moments = [
        one for one in _list_moments(dossier) if one[0] >= trace[0].at
    ]  # what is not drawn has no place
    axis = build_axis([point.at for point in trace] + [at for at, _ in moments])
    zero = scale.place(0)
    peak = max(trace, key=lambda point: point.log10_excess)
    label = (
        f"Evidence from {trace[0].at:%H:%M:%S} to {trace[-1].at:%H:%M:%S}; it peaks at "
        f"{tell_factor(peak.log10_excess)} the threshold."
    )
    return tag(
        "svg",
        tag("rect", x=0, y=_TOP, width="100%", height=zero - _TOP, class_="over"),
        draw_axis(axis, HEIGHT),
        (_draw_tick(scale.place(value), value) for value in scale.ticks()),
        tag("line", x1=0, x2="100%", y1=zero, y2=zero, class_="threshold"),
        _draw_line(trace, axis, scale),
        tag("text", "alarm threshold", x=0, y=zero - 5, class_="threshold-name"),
        (_draw_moment(axis, at, name) for at, name in moments),
        class_="trace", width="100%", height=HEIGHT + 24, role="img", aria_label=label,
    )  # fmt: skip


def tell_factor(log10_excess: float) -> str:
    """How many times the threshold, in words that stay short.

    Examples
    --------
    >>> tell_factor(2), tell_factor(0.3), tell_factor(7), tell_factor(-3), tell_factor(294)
    ('100×', '2×', '10⁷×', '1/1,000 of', 'over 10¹⁰⁰×')
    """
    if log10_excess > _MEASURED:
        return f"over {_write_factor(_MEASURED)}"
    return _write_factor(log10_excess)


def _write_factor(log10_excess: float) -> str:
    power = round(max(-_EXPONENTS, min(log10_excess, _EXPONENTS)))
    if abs(log10_excess) > _PLAIN_POWERS:
        digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{digits}×"
    if log10_excess < 0:
        return f"1/{10**-log10_excess:,.0f} of"
    return f"{10**log10_excess:,.0f}×"


def _draw_tick(y: float, value: int) -> list[Markup]:
    return [
        tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"),
        tag("text", _write_factor(value).removesuffix(" of"), x=0, y=y - 4, class_="tick"),
    ]


def _draw_line(trace: Sequence[TracePoint], axis: Axis, scale: _Scale) -> Markup:
    points = [(axis.place(point.at) * 10, scale.place(point.log10_excess)) for point in trace]
    path = "M" + "L".join(f"{x:.1f} {y:g}" for x, y in points)
    # Stretched to the width while the stroke is not: percent coordinates do not exist in paths.
    return tag(
        "svg", tag("path", d=path, class_="line"),
        x=0, y=0, width="100%", height=HEIGHT, viewBox=f"0 0 1000 {HEIGHT}", preserveAspectRatio="none",
    )  # fmt: skip


def _list_moments(dossier: Dossier) -> Iterator[tuple[datetime, str]]:
    for finding in dossier.incident.findings:
        yield finding.raised_at, "found"
        if finding.cleared_at is not None:
            yield finding.cleared_at, "cleared"


def _draw_moment(axis: Axis, at: datetime, name: str) -> Iterator[Markup]:
    place = axis.place(at)
    x = f"{place:.2f}%"
    late = place > 70  # noqa: PLR2004 - the name would leave the drawing
    yield tag("line", x1=x, x2=x, y1=_TOP - 6, y2=HEIGHT, class_=f"moment {name}")
    yield tag(
        "text", f"{name} {at:%H:%M:%S}", x=x, y=12, text_anchor="end" if late else "start",
        class_=f"moment-name {name}",
    )  # fmt: skip


def build_class_table(finding: Finding, class_names: Mapping[str, str]) -> Markup:
    """A row a class, most frequent first: name, bar with the baseline's mark, both shares, their ratio."""
    total = max(sum(finding.counts.values()), finding.window.predictions, 1)
    rows = sorted(finding.counts.items(), key=lambda row: (-row[1], row[0]))[:CLASSES_SHOWN]
    expected = finding.expected_shares
    full = max([count / total for _, count in rows] + [expected.get(label, 0.0) for label, _ in rows])
    head = [tag("th", name, scope="col", class_=kind) for name, kind in _COLUMNS]
    body = []
    for label, count in rows:
        share, usual = count / total, expected.get(label)
        named = name_class(label, class_names).removeprefix("class ")
        cells = [
            tag("th", foreign(named), scope="row"),
            tag("td", _draw_bar(share, usual, full), class_="bar"),
            tag("td", format_share(share), tag("span", f"{count:,}", class_="count"), class_="number"),
            tag("td", "-" if usual is None else format_share(usual), class_="number"),
            tag("td", _tell_ratio(share, usual), class_="number ratio"),
        ]
        body.append(tag("tr", cells, class_="subject" if label == finding.subject else None))
    return tag("table", tag("thead", tag("tr", head)), tag("tbody", body), class_="classes")


_COLUMNS = (
    ("Class", None),
    ("Share of predictions", "bar"),
    ("Observed", "number"),
    ("Baseline", "number"),
    ("Ratio", "number ratio"),
)


def _draw_bar(share: float, usual: float | None, full: float) -> Markup:
    parts = [tag("rect", x=0, y=3, width=f"{share / full * 100:.2f}%", height=10, rx=2, class_="share")]
    if usual is not None:
        x = f"{min(usual / full * 100, 99.5):.2f}%"
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=16, class_="usual"))
    return tag("svg", parts, width="100%", height=16, aria_hidden="true")


def _tell_ratio(share: float, usual: float | None) -> str:
    if not usual:
        return "new" if share else "-"
    ratio = share / usual
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"  # noqa: PLR2004
