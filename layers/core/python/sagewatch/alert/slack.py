"""An announcement as a Slack message in Block Kit, within Slack's limits whatever it is about.

Source: Slack, "Formatting text for app surfaces" (escape &, < and >, in that order; automatic parsing) and the Block
Kit reference (text object: verbatim; limits: CONTRACTS §13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.alert.content import Announcement, Content, Link, build_content
from sagewatch.incident.amounts import find_cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagewatch.incident.model import Incident

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_LIMIT = 10
TEXT_LIMIT = 4000
URL_LIMIT = 2500
_SHORT = 420
_WIDE = frozenset({"How bad", "Most frequent", "Samples", "Together with", "Incident"})
# What data says must become no link and no mention, nor grow a preview of some other site.
_AS_IT_IS = {"parse": "none", "unfurl_links": False, "unfurl_media": False}
_SIGNS = {
    "FIRING": "\N{LARGE RED CIRCLE}",
    "COMES AND GOES": "\N{LARGE YELLOW CIRCLE}",
    "WORSE": "\N{LARGE RED CIRCLE}",
    "STILL FIRING": "\N{LARGE RED CIRCLE}",
    "RESOLVED": "\N{LARGE GREEN CIRCLE}",
}


def render_slack(announcement: Announcement, buttons: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arguments ``text`` and ``blocks`` of ``chat.postMessage`` and ``chat.update``.

    Names from outside cannot mention anybody (``<!channel>``, ``<@U...>``) nor make a link.

    Parameters
    ----------
    buttons
        The block of ``alert.buttons``, where presses of them are answered.
    """
    content = build_content(announcement)
    headline = f"{_SIGNS[content.state]} {content.state} · {content.endpoint}: {content.headline}"
    return {
        "text": escape(headline, TEXT_LIMIT),
        "blocks": [
            *_build_blocks(content, announcement.incident.incident_id),
            *([dict(buttons)] if buttons else []),
        ],
        **_AS_IT_IS,
    }


def render_reply(announcement: Announcement) -> dict[str, Any]:
    """What changed, as one line for the message's thread: the timeline of the incident."""
    incident, content = announcement.incident, build_content(announcement)
    news = content.doing
    if announcement.reason in {"incident_joined", "worse_incident_joined"}:
        news = f"{1 + len(announcement.companions):,} incidents are in this message now."
    elif content.state == "RESOLVED":
        news = content.what
    elif _was_just_acknowledged(incident):
        news = f"Acknowledged by {incident.acknowledged_by}."
    text = escape(f"{content.state}: {news}", TEXT_LIMIT)
    return {"text": text, **_AS_IT_IS}


def _was_just_acknowledged(incident: Incident) -> bool:
    """Whether that somebody took it is newer than what the diagnosis did."""
    taken, diagnosis = incident.acknowledged_at, incident.diagnosis
    return taken is not None and (diagnosis is None or taken >= diagnosis.at)


def escape(text: str, limit: int) -> str:
    """Text from outside, harmless in a mrkdwn or plain_text object, of at most ``limit`` characters.

    Lengths are in UTF-16 units, the larger of the counts that Slack might mean, and no escape is cut apart.

    Examples
    --------
    >>> escape("<!channel> & co", 100)
    '&lt;!channel&gt; &amp; co'
    >>> escape("a & b", 7)
    'a …'
    """
    pieces = [_ESCAPES.get(character, character) for character in text[: limit + 1]]
    if sum(map(_measure, pieces)) <= limit and len(text) <= limit:
        return "".join(pieces)
    kept, left = 0, limit - 1
    for piece in pieces:
        left -= _measure(piece)
        if left < 0:
            break
        kept += 1
    return "".join(pieces[: find_cut(text, kept)]) + "…"


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _measure(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _build_blocks(content: Content, incident_id: str) -> Iterator[dict[str, Any]]:
    header = f"{_SIGNS[content.state]} {content.endpoint}: {content.headline}"
    yield {
        "type": "header",
        "text": {"type": "plain_text", "text": escape(header, HEADER_LIMIT), "emoji": True},
    }
    yield _build_section(escape(content.what, SECTION_LIMIT))
    narrow = [fact for fact in content.facts if fact[0] not in _WIDE]
    yield {"type": "section", "fields": [_build_field(*fact) for fact in narrow[:FIELDS_LIMIT]]}
    for label, value in content.facts:
        if label in _WIDE and label != "Incident":
            yield _build_section(_label(label, value, SECTION_LIMIT))
    yield _build_section(_label("What Sagewatch is doing", content.doing, SECTION_LIMIT))
    yield _build_section(_label("Next step", content.next_step, SECTION_LIMIT))
    yield from _build_links(content.links)
    yield {"type": "context", "elements": [_build_mrkdwn(escape(f"Sagewatch · {incident_id}", FIELD_LIMIT))]}


def _label(label: str, value: str, limit: int) -> str:
    head = f"*{label}*\n"
    return head + escape(value, limit - len(head))


def _build_field(label: str, value: str) -> dict[str, Any]:
    return _build_mrkdwn(_label(label, value, FIELD_LIMIT))


def _build_links(links: tuple[Link, ...]) -> Iterator[dict[str, Any]]:
    """Short links on one line; a long one (a presigned one fills half a section) on its own."""
    shown = [text for link in links if (text := _render_link(link)) is not None]
    short = [text for text in shown if _measure(text) <= _SHORT]
    if short:
        yield _build_section(" · ".join(short[: SECTION_LIMIT // (_SHORT + 3)]))
    yield from (_build_section(text) for text in shown if text not in short)


def _render_link(link: Link) -> str | None:
    """A link in Slack's notation; None for an address that is none, or is too long: cut, it would lead nowhere."""
    # "|" and ">" end an address in Slack's notation.
    address = link.url.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace("&", "&amp;")
    if not address.startswith(("https://", "http://", "file://")) or _measure(address) > URL_LIMIT:
        return None
    note = f" ({escape(link.note, 200)})" if link.note else ""
    return f"<{address}|{escape(link.label, 100)}>{note}"


def _build_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _build_mrkdwn(text)}


def _build_mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: an address, "@here" or "#general" in a name stays what it is; our own <...|...> are links all the same.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
