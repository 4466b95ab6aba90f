"""What a person opens in a browser of the local AWS: the inbox, the Slack, and the pages of incidents. It only reads.

Everything shown came from outside (names, captured data, mails): it is escaped, and no page may run a script.
"""

from __future__ import annotations

import html
import http.server
import json
import logging
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

LOG = logging.getLogger(__name__)
RULES: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HERE: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_NOT_HERE: Final = (
    "<p>These pages answer to 127.0.0.1 and localhost alone, by whichever port. From another machine: "
    "<code>ssh -L 8080:127.0.0.1:PORT</code>, then http://localhost:8080/.</p>"
)
_HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Sources:
    """Where the viewer looks, anew at each request.

    Attributes
    ----------
    mails
        The text files of the mails, in order of arrival.
    messages
        Slack's messages as they stand, each with ``channel``, ``text`` and ``blocks``; a file may hold anything else.
    list_pages
        Keys of the incidents' pages.
    read_page
        A page of that key; None where there is none.
    """

    mails: Callable[[], list[Path]]
    messages: Callable[[], list[Any]]
    list_pages: Callable[[], list[str]]
    read_page: Callable[[str], bytes | None]


class Viewer(http.server.ThreadingHTTPServer):
    """Serves ``/inbox``, ``/slack`` and ``/pages`` on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, sources: Sources) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sources = sources

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), name="viewer", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def address(self, page: str) -> str:
        """The URL of ``inbox``, ``slack`` or ``pages``."""
        return f"http://127.0.0.1:{self.server_port}/{page}"


def render(path: str, sources: Sources) -> bytes | None:
    """The page of a path; None where there is none."""
    first, _, rest = path.strip("/").partition("/")
    if first == "inbox" and not rest:
        return _list(
            "Inbox",
            (_text(one.stem, one.read_text(encoding="utf-8", errors="replace")) for one in sources.mails()),
        )
    if first == "slack" and not rest:
        return _list("Slack", (_message(one) for one in sources.messages()))
    if first == "pages" and not rest:
        return _list("Pages of incidents", (_link(key) for key in sources.list_pages()))
    if first == "pages" and rest in sources.list_pages():
        return sources.read_page(rest)
    if not first:
        return _list("Sagewatch on this machine", (_link(one, "/") for one in ("inbox", "slack", "pages")))
    return None


def _message(message: Any) -> str:
    if not isinstance(message, Mapping):
        return _text("A file that holds no message", json.dumps(message, indent=2, ensure_ascii=False))
    blocks = json.dumps(message.get("blocks", []), indent=2, ensure_ascii=False)
    return _text(f"{message.get('channel', '')}: {message.get('text', '')}", blocks)


def _text(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2><pre>{html.escape(body)}</pre>"


def _link(key: str, below: str = "/pages/") -> str:
    return f'<p><a href="{html.escape(below + urllib.parse.quote(key))}">{html.escape(key)}</a></p>'


def _list(title: str, parts: Iterable[str]) -> bytes:
    body = "\n".join(parts) or "<p>Nothing yet. Load this page again later.</p>"
    style = "body{font:16px sans-serif;max-width:60em;margin:2em auto}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"<h1>{title}</h1>\n{body}\n</html>"
    ).encode("utf-8", "replace")


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Viewer

    def do_GET(self) -> None:
        """A page; what cannot be read now is a page that says so."""
        status, body = self._answer()
        self.send_response(status)
        for name, value in {"Content-Type": _HTML, "Content-Security-Policy": RULES, "X-Content-Type-Options": "nosniff",
                            "Content-Length": str(len(body))}.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[int, bytes]:
        # A page of the internet whose name was pointed here (DNS rebinding) would be let read all of this. The port may be
        # another one's: that of a tunnel (ssh -L).
        if not _HERE.fullmatch(self.headers.get("Host", "")):
            return 421, _list("Not here", [_NOT_HERE])
        try:
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
            body = render(path, self.server.sources)
        except (OSError, ValueError, BotoCoreError, ClientError) as error:
            LOG.warning("viewer: %s: %s", self.path, error)
            told = html.escape(
                f"It cannot be read now ({type(error).__name__}: {error}). Load this page again."
            )
            return 503, _list("Not now", [f"<p>{told}</p>"])
        return (
            (404, _list("No such page", ['<p><a href="/">What there is</a></p>']))
            if body is None
            else (200, body)
        )

    def log_message(self, message: str, *values: Any) -> None:
        """To the sandbox's log, not to the terminal."""
        LOG.debug(message, *values)
