"""An announcement as a Slack message in Block Kit, within Slack's limits whatever it is about.

Source: Slack, "Formatting text for app surfaces" (escape &, < and >, in that order; automatic parsing) and the Block
Kit reference (text object: verbatim; limits: CONTRACTS §13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.alert.content import ENDED, Announcement, Content, Link, build_content
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
BLOCKS_LIMIT = 10_000
"""All texts of a message's blocks: from some 13,000 on Slack refuses them (``msg_blocks_too_long``), containers counted."""
_LINKS_LIMIT = 5000
_LIMITS = (SECTION_LIMIT, 1000, 500, 200)
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
    "NO LONGER JUDGED": "\N{LARGE YELLOW CIRCLE}",
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
    return {
        "text": escape(_tell_headline(content), TEXT_LIMIT),
        "blocks": [
            *_build_bounded(content, announcement.incident.incident_id),
            *([dict(buttons)] if buttons else []),
        ],
        **_AS_IT_IS,
    }


def _tell_headline(content: Content) -> str:
    """The state first: Slack shows blocks and no text beside them, and a reminder is no new alarm."""
    return f"{_SIGNS[content.state]} {content.state} · {content.endpoint}: {content.headline}"


def render_reply(announcement: Announcement) -> dict[str, Any]:
    """What changed, as one line for the message's thread: the timeline of the incident."""
    incident, content = announcement.incident, build_content(announcement)
    news = content.doing
    if announcement.reason in {"incident_joined", "worse_incident_joined"}:
        news = f"{1 + len(announcement.companions):,} incidents are in this message now."
    elif content.state in ENDED:
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


def _build_bounded(content: Content, incident_id: str) -> list[dict[str, Any]]:
    """The blocks with texts as long as Slack takes all of them together; links are whole or not there."""
    blocks: list[dict[str, Any]] = []
    for limit in _LIMITS:
        blocks = list(_build_blocks(content, incident_id, limit))
        if sum(map(_measure, _list_texts(blocks))) <= BLOCKS_LIMIT:
            break
    return blocks


def _list_texts(blocks: list[dict[str, Any]]) -> Iterator[str]:
    for block in blocks:
        shown = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        yield from (one["text"] for one in shown if one is not None)


def _build_blocks(content: Content, incident_id: str, limit: int) -> Iterator[dict[str, Any]]:
    yield {
        "type": "header",
        "text": {"type": "plain_text", "text": escape(_tell_headline(content), HEADER_LIMIT), "emoji": True},
    }
    yield _build_section(escape(content.what, limit))
    narrow = [fact for fact in content.facts if fact[0] not in _WIDE]
    fields = [_build_mrkdwn(_label(*fact, min(limit, FIELD_LIMIT))) for fact in narrow[:FIELDS_LIMIT]]
    yield {"type": "section", "fields": fields}
    for label, value in content.facts:
        if label in _WIDE and label != "Incident":
            yield _build_section(_label(label, value, limit))
    yield _build_section(_label("What Sagewatch is doing", content.doing, limit))
    yield _build_section(_label("Next step", content.next_step, limit))
    yield from _build_links(content.links)
    yield {"type": "context", "elements": [_build_mrkdwn(escape(f"Sagewatch · {incident_id}", FIELD_LIMIT))]}


def _label(label: str, value: str, limit: int) -> str:
    head = f"*{label}*\n"
    return head + escape(value, limit - len(head))


def _build_links(links: tuple[Link, ...]) -> Iterator[dict[str, Any]]:
    """Short links on one line; a long one (a presigned one fills half a section) on its own."""
    shown, left = [], _LINKS_LIMIT
    for link in links:
        text = _render_link(link)
        if text is not None and _measure(text) <= left:
            shown.append(text)
            left -= _measure(text)
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
