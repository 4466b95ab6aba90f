"""The index of all incidents: one page with filters, beside the pages that it links to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sagewatch.evidence.document import build_document, build_mark
from sagewatch.evidence.markup import Markup, foreign, tag
from sagewatch.evidence.model import IndexRow
from sagewatch.incident.amounts import clean_text, format_duration, format_time

ROWS_SHOWN = 1000
_FILTERS = (("endpoint", "Endpoint"), ("kind", "Kind"), ("state", "State"))


def _link_beside(incident_id: str) -> str:
    """From a folder that holds index and pages; a presigned link opens one object and leads to no other."""
    return f"{incident_id}/index.html"


def build_index(
    rows: Sequence[IndexRow],
    made_at: datetime,
    link: Callable[[str], str] = _link_beside,
    replay: str = "",
    unreadable: Sequence[str] = (),
) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    rows
        The latest first; beyond ``ROWS_SHOWN`` they are only counted.
    link
        Where an incident's page is, from its id.
    replay
        The rehearsal whose incidents these are; empty for the real ones.
    unreadable
        Ids of incidents whose rows cannot be read: named, for what a list leaves out in silence is not looked for.
    """
    shown = rows[:ROWS_SHOWN]
    open_count = sum(row.state != "resolved" for row in rows)
    hidden = len(rows) - len(shown)
    body = (
        tag(
            "header",
            tag("p", tag("span", f"{open_count:,} open", class_="state"), tag("span", "Sagewatch", class_="brand"),
                class_="status"),
            build_mark(replay),
            tag("h1", "1 incident" if len(rows) == 1 else f"{len(rows):,} incidents"),
            tag("p", f"Made {format_time(made_at)}.", f" The {hidden:,} oldest are not listed." if hidden else None,
                f" Cannot be read and not listed: {', '.join(unreadable)}." if unreadable else None, class_="lede"),
        ),
        tag(
            "main",
            tag("form", (_build_filter(name, label, shown) for name, label in _FILTERS), class_="filters"),
            tag("p", tag("output", f"{len(shown):,} shown", aria_live="polite", id="shown"), class_="small"),
            _build_table(shown, made_at, link),
        ),
    )  # fmt: skip
    look = "critical" if open_count else "over"
    return build_document("Incidents · Sagewatch", body, look=look, script="index.js").encode()


def _build_filter(name: str, label: str, rows: Sequence[IndexRow]) -> Markup:
    values = sorted({str(getattr(row, name)) for row in rows})
    options = [
        tag("option", "all", value=""),
        *(tag("option", clean_text(value, 80), value=value) for value in values),
    ]
    return tag("label", tag("span", label), tag("select", options, name=name))


def _build_table(rows: Sequence[IndexRow], made_at: datetime, link: Callable[[str], str]) -> Markup:
    names = ("Incident", "Endpoint", "Severity", "State", "Opened", "Lasted")
    head = tag("tr", (tag("th", name, scope="col") for name in names))
    return tag(
        "table", tag("thead", head), tag("tbody", (_build_row(row, made_at, link) for row in rows)), class_="plain index"
    )  # fmt: skip


def _build_row(row: IndexRow, made_at: datetime, link: Callable[[str], str]) -> Markup:
    lasted = format_duration((row.resolved_at or made_at) - row.opened_at)
    what = foreign(f"{row.kind} {row.subject}".rstrip(), 80)
    return tag(
        "tr",
        tag("th", tag("a", what, href=link(row.incident_id)), scope="row"),
        tag("td", foreign(row.endpoint, 63), tag("span", foreign(row.variant, 63), class_="count"), data_column="Endpoint"),
        tag("td", row.severity, class_="word", data_column="Severity"),
        tag("td", tag("span", row.state, class_=f"pill {'resolved' if row.state == 'resolved' else 'firing'}"),
            data_column="State"),
        tag("td", tag("time", format_time(row.opened_at), datetime=row.opened_at.isoformat()), data_column="Opened"),
        tag("td", lasted, data_column="Lasted"),
        data_endpoint=row.endpoint, data_kind=row.kind, data_state=row.state,
    )  # fmt: skip
