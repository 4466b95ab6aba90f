"""A page as one file: style and script inside it, nothing asked of anybody.

The Content-Security-Policy in it allows the one style, the one script (both by their hashes) and inline
pictures; a browser refuses all else, whatever a name in the page holds.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources

from sagewatch.evidence.markup import Child, Markup, foreign, join, raw, tag


def build_document(title: str, body: Child, *, look: str, script: str = "page.js") -> Markup:
    """The whole file.

    Parameters
    ----------
    look
        Class of the body: what its colours say (``critical``, ``warning``, ``info``, ``over``).
    script
        Which of this package's scripts it runs.
    """
    style, program = _read("page.css"), _read(script)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(program)}'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", raw(style)),
    )
    html = tag("html", head, tag("body", body, tag("script", raw(program)), class_=look), lang="en")
    return join((Markup("<!doctype html>\n"), html))


def build_mark(replay: str) -> Markup | None:
    """What says that a page is of a rehearsal; None where it is of what happens."""
    if not replay:
        return None
    told = " of recorded events: nothing here is happening now, and what is done about it concerns no real incident."
    return tag("p", tag("strong", "REPLAY"), told, " Its name: ", foreign(replay, 100), ".", class_="lede")


@functools.cache
def _read(name: str) -> str:
    return resources.files("sagewatch.evidence").joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
