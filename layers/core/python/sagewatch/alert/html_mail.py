"""An announcement as a mail with a text and an HTML part and the heat maps in it, for SES to send as it is.

Source: RFC 2046 (alternatives: the plainest first), RFC 2392 (pictures by Content-ID), RFC 2047 (subjects);
SES API v2, SendEmail with raw content (40 MB); mail programs read no <style> and no SVG (CONTRACTS §13).
"""

from __future__ import annotations

import html
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from sagewatch.alert.content import Announcement, Content, Link, build_content
from sagewatch.alert.mail import build_lines
from sagewatch.incident.amounts import close_isolate, find_cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagewatch.alert.content import Picture

SUBJECT_LIMIT = 150
"""Before it is folded into header lines, which adds spaces."""
HTML_LIMIT_BYTES = 100_000
"""Beyond it, mail programs show a part and a link to the rest."""

_COLOURS = {"RESOLVED": "#1a7f37", "COMES AND GOES": "#9a6700", "NO LONGER JUDGED": "#9a6700"}
_FIRING = "#cf222e"
_FONT = "font-family:-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_TEXT_LIMIT = 4000
# Names that are written from right to left turn round no figures beside them: the page itself is left to right.
_KEPT = "\u200c\u200d\u2068\u2069"
_URL_LIMIT = 4000


def render_html_mail(announcement: Announcement, sender: str, to: Sequence[str], thread: str) -> bytes:
    """The whole message, in ASCII, lines of at most 998 characters.

    Parameters
    ----------
    thread
        The same for all mails about one thing: mail programs show them together.
    """
    content = build_content(announcement)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = _build_subject(content)
    # No such mail exists; whoever names it is in its thread.
    mail["References"] = mail["In-Reply-To"] = f"<{thread}@sagewatch.invalid>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of an absent person comes back
    mail.set_content("\n".join(build_lines(content)) + "\n", cte="quoted-printable")
    shown = announcement.pictures
    mail.add_alternative(_build_html(content, shown), subtype="html", cte="quoted-printable")
    page = mail.get_payload()[1]  # type: ignore[index]
    if isinstance(page, EmailMessage):
        for number, picture in enumerate(shown):
            cid = f"<{_name_picture(number)}>"
            page.add_related(
                picture.png,
                "image",
                "png",
                cid=cid,
                disposition="inline",
                filename=f"heat-map-{number + 1}.png",
            )
    _set_boundaries(mail, thread)
    return mail.as_bytes()


def _build_subject(content: Content) -> str:
    words = " ".join(f"[{content.state}] {content.endpoint}: {content.headline}".split())
    shown = _keep_visible(words)
    if len(shown) <= SUBJECT_LIMIT:
        return shown
    return close_isolate(shown[: find_cut(shown, SUBJECT_LIMIT - 2)] + "…")


def _set_boundaries(mail: EmailMessage, thread: str) -> None:
    """Boundaries that follow from the mail: the library draws lots, and equal mails shall be equal bytes."""
    for number, part in enumerate(one for one in mail.walk() if one.is_multipart()):
        part.set_boundary(f"=_sagewatch_{thread}_{number}")


def _build_html(content: Content, pictures: Sequence[Picture]) -> str:
    colour = _COLOURS.get(content.state, _FIRING)
    body = "".join(_list_parts(content, pictures, colour))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"></head><body style="margin:0;padding:16px;{_FONT}">'
        f'<div style="max-width:640px;margin:0 auto">{body}</div></body></html>\n'
    )
    if len(page.encode()) > HTML_LIMIT_BYTES:
        raise ValueError("a part of the mail is not bounded")
    return page


def _list_parts(content: Content, pictures: Sequence[Picture], colour: str) -> Iterator[str]:
    yield (
        f'<p style="margin:0 0 4px;color:{colour};font-weight:bold;letter-spacing:1px">{_show(content.state)}</p>'
        f'<h1 style="margin:0 0 12px;font-size:20px">{_show(content.endpoint)}: {_show(content.headline)}</h1>'
        f'<p style="margin:0 0 16px;line-height:1.5">{_show(content.what)}</p>'
    )
    rows = "".join(
        f'<tr><th align="left" valign="top" style="padding:6px 12px 6px 0;font-weight:600;white-space:nowrap">{_show(label)}</th>'
        f'<td valign="top" style="padding:6px 0;word-break:break-word">{_show(value)}</td></tr>'
        for label, value in content.facts
    )
    yield f'<table role="presentation" cellpadding="0" cellspacing="0" style="font-size:14px">{rows}</table>'
    for title, words in (("What Sagewatch is doing", content.doing), ("Next step", content.next_step)):
        yield f'<h2 style="margin:20px 0 4px;font-size:15px">{title}</h2><p style="margin:0;line-height:1.5">{_show(words)}</p>'
    if pictures:
        yield '<h2 style="margin:20px 0 8px;font-size:15px">Where the model looked</h2>'
    for number, picture in enumerate(pictures):
        title = _show(picture.title)
        yield (
            f'<img src="cid:{_name_picture(number)}" alt="{title}" width="192" style="display:block;margin:0 0 4px">'
            f'<p style="margin:0 0 12px;font-size:13px">{title}</p>'
        )
    yield from (_show_link(link) for link in content.links)


def _show_link(link: Link) -> str:
    if not link.url.startswith("https://") or len(link.url) > _URL_LIMIT:
        return ""
    note = f" ({_show(link.note)})" if link.note else ""
    address = html.escape(link.url, quote=True)
    return f'<p style="margin:12px 0 0"><a href="{address}">{_show(link.label)}</a>{note}</p>'


def _show(text: str) -> str:
    """Text from outside, harmless in HTML and bounded."""
    shown = _keep_visible(text[: find_cut(text, _TEXT_LIMIT)])
    return html.escape(close_isolate(shown + ("…" if len(text) > _TEXT_LIMIT else "")), quote=True)


def _keep_visible(text: str) -> str:
    """What can be seen, the joiners that emoji and Persian are written with, and what sets right-to-left names apart."""
    return "".join(one for one in text if one.isprintable() or one in _KEPT)


def _name_picture(number: int) -> str:
    return f"heat-map-{number + 1}@sagewatch.invalid"
