"""The backtest as one page: what each configuration would have sent, drawn over time and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sagewatch.evidence.axis import Axis, build_axis, draw_axis
from sagewatch.evidence.document import build_document
from sagewatch.evidence.markup import Markup, foreign, tag
from sagewatch.incident.amounts import clean_text, format_duration, format_time
from sagewatch.replay.backtest import Backtest, Found, tell_assumption, tell_attack, tell_false_alarms
from sagewatch.replay.outcome import tell_missing

_LANE = 50
_FOUND, _SEVERITY, _TOOK, _TIME, _TOLD = "Found", "Severity", "Predictions it took", "Time it took", "Told"


def build_backtest_page(runs: Sequence[Backtest], differences: Sequence[str], command: str) -> bytes:
    """The page, UTF-8; equal backtests give equal bytes.

    Parameters
    ----------
    command
        How it was made, shown at its end.
    """
    first = runs[0]
    sends = ", ".join(f"{run.config} sends {run.alerts}" for run in runs)
    lasted = format_duration(first.ended - first.began) if first.began and first.ended else "no time"
    body = (
        tag(
            "header",
            tag("p", tag("span", "Backtest"), tag("span", "Sagewatch", class_="brand"), class_="status"),
            tag("h1", foreign(sends, 300)),
            tag(
                "p",
                f"On {first.predictions:,} predictions of {lasted}. False alarms are such {tell_assumption(first)}.",
                class_="lede",
            ),
            tag("p", foreign(f"{tell_missing(first.missing)}.", 900)) if first.missing else None,
            tag("dl", (_build_figure(run) for run in runs), class_="figures"),
        ),
        tag(
            "main",
            _build_section(
                "difference", "Difference", [tag("ul", (tag("li", foreign(one, 300)) for one in differences))]
            )
            if differences
            else None,
            _build_section("time", "Over time", [_draw(runs), _build_note(runs)]) if first.began else None,
            (
                _build_section(f"run-{n}", run.config, [_build_table(run)], layout="wide")
                for n, run in enumerate(runs)
            ),
        ),
        tag("footer", tag("p", foreign(command, 600))),
    )
    return build_document("Backtest · Sagewatch", body, look="info").encode()


def _build_figure(run: Backtest) -> Markup:
    number, unit = tell_false_alarms(run)
    return tag("div", tag("dt", foreign(run.config, 60)), tag("dd", number, tag("small", unit)))


def _build_section(anchor: str, title: str, content: list[Markup | None], layout: str = "") -> Markup:
    heading = tag("div", tag("h2", foreign(title, 60), id=f"{anchor}-title"), class_="aside")
    return tag(
        "section",
        heading,
        tag("div", content, class_="content"),
        id=anchor,
        class_=layout or None,
        aria_labelledby=f"{anchor}-title",
    )


def _build_note(runs: Sequence[Backtest]) -> Markup:
    attacks = [tell_attack(run) for run in runs] if runs[0].attacked else []
    told = [f"{attack}." for attack in attacks if attack]
    return tag("p", foreign(" ".join(told) or "Times are in UTC.", 900), class_="small")


def _draw(runs: Sequence[Backtest]) -> Markup:
    axis = build_axis([at for run in runs for at in (run.began, run.ended) if at is not None])
    height = _LANE * len(runs)
    lanes = [_draw_lane(run, axis, n * _LANE) for n, run in enumerate(runs)]
    label = "Findings of each configuration over time; the tables below hold the same."
    return tag(
        "svg", draw_axis(axis, height), lanes,
        class_="timeline", width="100%", height=height + 24, role="img", aria_label=label,
    )  # fmt: skip


def _draw_lane(run: Backtest, axis: Axis, top: float) -> list[Markup]:
    middle = top + 29
    drawn = [
        # A long name ends at the drawing's edge.
        tag("svg", tag("text", clean_text(run.config, 60), x=0, y=14, class_="lane"),
            class_="clip", x=0, y=top, width="100%", height=20),
        tag("line", x1="0", x2="100%", y1=middle, y2=middle, class_="rail"),
    ]  # fmt: skip
    for one in run.found:
        end: datetime = one.cleared_at or run.ended or one.at
        left, right = axis.place(one.at), axis.place(end)
        about = clean_text(f"{one.endpoint} {one.about}", 160)
        title = tag("title", f"{one.at:%d %b %H:%M:%S} {about}")
        drawn.append(
            tag("rect", title, x=f"{left:.2f}%", y=middle - 7, width=f"{max(right - left, 0.4):.2f}%", height=14,
                rx=1, class_="seg alarm" if one.sent else "seg explaining")
        )  # fmt: skip
    return drawn


def _build_table(run: Backtest) -> Markup:
    if not run.found:
        return tag("p", "Nothing was found.", class_="verdict good")
    names = (_FOUND, "What", _SEVERITY, _TOOK, _TIME, _TOLD)
    head = tag("tr", (tag("th", name, scope="col") for name in names))
    return tag("table", tag("thead", head), tag("tbody", map(_build_row, run.found)), class_="plain index")


def _build_row(one: Found) -> Markup:
    what = f"{one.endpoint}/{one.variant} {one.about}"
    told = ("the injected attack" if one.wanted else "yes") if one.sent else "recorded only"
    return tag(
        "tr",
        tag("td", format_time(one.at), class_="word", data_column=_FOUND),
        tag("th", foreign(what, 160), scope="row"),
        tag("td", one.severity, class_="word", data_column=_SEVERITY),
        tag("td", f"{one.took:,}", data_column=_TOOK),
        tag("td", format_duration(max(one.seconds, 0)), class_="word", data_column=_TIME),
        tag("td", told, data_column=_TOLD),
    )
