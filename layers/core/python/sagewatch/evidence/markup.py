"""HTML that is safe by construction: text becomes markup only by being escaped.

A ``str`` is text, a ``Markup`` is HTML. ``tag`` escapes every child and attribute that is text, so nothing
from outside can open an element, whatever it holds.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable

from sagewatch.incident.amounts import clean_text


class Markup(str):
    """HTML that is ready to be shown; made by this module alone."""

    __slots__ = ()


Child = Markup | str | None | Iterable["Child"]

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_URL_ATTRIBUTES = frozenset({"href", "src"})
_SAFE_SCHEMES = ("https://", "http://", "#", "data:image/png;base64,", "data:image/jpeg;base64,", "file://")
_NEIGHBOUR = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-]+\.html"
)  # a page in a folder beside this one
_UNSHOWABLE = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if chr(code) not in "\t\n"} | {127: ""}


class UnsafeUrlError(ValueError):
    """An address that a browser might run, or that leads outside what the page may name."""


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Attribute names lose a trailing underscore and carry hyphens for underscores (``class_``,
    ``aria_label``). True gives a bare attribute; None and False leave it out.

    Raises
    ------
    UnsafeUrlError
        ``href`` or ``src`` of a scheme that is not http, https, file, a fragment or an inline picture.

    Examples
    --------
    >>> tag("p", "a < b", class_="note", hidden=True)
    '<p class="note" hidden>a &lt; b</p>'
    """
    opening = f"<{name}{''.join(_attribute(*one) for one in attributes.items())}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(children)}</{name}>")


def join(children: Child) -> Markup:
    """Children one after the other, text escaped, None left out."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return escape(children)
    return Markup("".join(join(child) for child in children))


def escape(text: str) -> Markup:
    """Text as HTML that shows exactly this text, in an element or a quoted attribute."""
    encodable = text.encode("utf-8", "replace").decode()
    return Markup(html.escape(encodable.translate(_UNSHOWABLE)))


def foreign(text: str, limit: int = 120) -> Markup:
    """A name from outside: cut to a readable length, and kept from turning the text around it."""
    return tag("bdi", clean_text(text, limit))


def raw(source: str) -> Markup:
    """A file of this package (style, script) taken as it is; never anything else."""
    return Markup(source)


def picture_url(picture: bytes, media_type: str) -> str:
    """A picture as an address that holds all of it."""
    return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"


def is_safe_url(url: str) -> bool:
    """Whether a link may lead there: a scheme that runs nothing, and no character that hides where it leads."""
    known = url.lower().startswith(_SAFE_SCHEMES) or _NEIGHBOUR.fullmatch(url) is not None
    return known and url.isascii() and url.isprintable()


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    shown = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {shown}"
    if shown in _URL_ATTRIBUTES and not is_safe_url(str(value)):
        raise UnsafeUrlError(str(value)[:80])
    return f' {shown}="{escape(str(value))}"'
