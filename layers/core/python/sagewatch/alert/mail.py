"""An announcement as plain text for SNS, which is all that SNS can mail.

Source: SNS Publish: a subject is ASCII, starts with a letter, number or punctuation mark, has no control
characters and under 100 characters; a message has at most 256 KiB (CONTRACTS §13).
"""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from sagewatch.alert.content import Announcement, Content, build_content
from sagewatch.incident.amounts import HARD_SPACE, close_isolate, hold_amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUBJECT_LIMIT = 99
BODY_LIMIT_BYTES = 256 * 1024
_WIDTH = 78
_INDENT = 14
_FSI = "\N{FIRST STRONG ISOLATE}"


class MailText(msgspec.Struct, frozen=True):
    """Subject and body, ready for SNS."""

    subject: str
    body: str


def render_mail(announcement: Announcement) -> MailText:
    """The announcement as a mail that reads well in any reader, in any width from 78 columns.

    Both parts keep SNS's limits whatever the names in the incident are.
    """
    content = build_content(announcement)
    body = "\n".join(build_lines(content)) + "\n"
    return MailText(subject=_build_subject(content), body=_cut_bytes(body, BODY_LIMIT_BYTES))


def _build_subject(content: Content) -> str:
    subject = _as_ascii(f"[{content.state}] {content.endpoint}: {content.headline}")
    return subject if len(subject) <= SUBJECT_LIMIT else subject[: SUBJECT_LIMIT - 3].rstrip() + "..."


def _as_ascii(text: str) -> str:
    """Letters without their accents; what has no ASCII becomes a question mark."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(character) and unicodedata.category(character) != "Cf"
    )
    ascii_only = plain.encode("ascii", "replace").decode("ascii")
    return "".join(character if character.isprintable() else " " for character in ascii_only)


def build_lines(content: Content) -> Iterator[str]:
    """The announcement as lines of plain text."""
    yield from _wrap(f"{content.state}: {content.what}", _WIDTH)
    yield ""
    for label, value in content.facts:
        yield from _build_fact(label, value)
    yield ""
    yield "What Sagewatch is doing"
    yield from _indent(content.doing)
    yield ""
    yield "Next step"
    yield from _indent(content.next_step)
    if content.links:
        yield ""
    for link in content.links:
        yield f"{link.label}{f' ({link.note})' if link.note else ''}:"
        # Never wrapped: a broken link opens nothing.
        yield f"  {link.url}"


def _build_fact(label: str, value: str) -> Iterator[str]:
    first, *rest = _wrap(value, _WIDTH - _INDENT) or [""]
    yield f"{label:<{_INDENT}}{first}"
    yield from (" " * _INDENT + line for line in rest)


def _indent(text: str) -> list[str]:
    return ["  " + line for line in _wrap(text, _WIDTH - 2)]


def _wrap(text: str, width: int) -> list[str]:
    """Lines that part neither a number from its unit nor a path in its middle."""
    lines = textwrap.wrap(hold_amounts(text), width, break_long_words=False, break_on_hyphens=False)
    return list(_close_isolates(line.replace(HARD_SPACE, " ") for line in lines))


def _close_isolates(lines: Iterable[str]) -> Iterator[str]:
    """A name that goes on in the next line is set apart in both: direction ends with the line."""
    goes_on = ""
    for line in lines:
        begun = goes_on + line
        closed = close_isolate(begun)
        goes_on = _FSI if closed != begun else ""
        yield closed


def _cut_bytes(text: str, limit: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore")
