"""The local PagerDuty and a local receiver of signed webhooks: HTTP servers that refuse what the real ones refuse.

Source: PagerDuty, Events API v2: 202 on success, 400 with ``errors`` for an invalid event, 413 above 512 KB, 429.
"""

from __future__ import annotations

import hmac
import http.server
import json
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sagewatch.alert.webhook import sign

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGERDUTY_LIMIT_BYTES = 512 * 1024
TOLERANCE_SECONDS = 300
_SEVERITIES = frozenset({"critical", "error", "warning", "info"})
_TEXTS = ("summary", "source", "component", "group", "class")
_ADDRESS, _SAFE = ("https://", "http://"), ("https://",)
_KEY_LENGTH = 32


def refuse_event(event: Any, routing_key: str) -> list[str]:
    """What PagerDuty says is wrong with an event; nothing where it takes it."""
    if not isinstance(event, dict):
        return ["event is not an object"]
    wrong = []
    if event.get("routing_key") != routing_key or len(routing_key) != _KEY_LENGTH:
        wrong.append("'routing_key' is invalid")
    action, key = event.get("event_action"), event.get("dedup_key")
    if action not in {"trigger", "acknowledge", "resolve"}:
        wrong.append("'event_action' is not one of trigger, acknowledge, resolve")
    if action != "trigger" and not key:
        wrong.append("'dedup_key' is missing or blank")
    if key is not None and (not isinstance(key, str) or len(key) > 255):  # noqa: PLR2004
        wrong.append("'dedup_key' is too long")
    if action == "trigger":
        found = event.get("payload")
        payload: dict[str, Any] = found if isinstance(found, dict) else {}
        wrong += [
            f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)
        ]
        wrong += [
            f"'payload.{name}' is not a string"
            for name in _TEXTS
            if not isinstance(payload.get(name, ""), str)
        ]
        if len(str(payload.get("summary", ""))) > 1024:  # noqa: PLR2004
            wrong.append("'payload.summary' is too long")
        if payload.get("severity") not in _SEVERITIES:
            wrong.append("'payload.severity' is invalid")
        if "timestamp" in payload and not _is_time(payload["timestamp"]):
            wrong.append("'payload.timestamp' is not ISO 8601")
        wrong += [f"'links.{at}.href' is no address" for at in _find_wrong(event, "links", "href", _ADDRESS)]
        wrong += [
            f"'images.{at}.src' is no https address" for at in _find_wrong(event, "images", "src", _SAFE)
        ]
    return wrong


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _find_wrong(event: Mapping[str, Any], name: str, key: str, begins: tuple[str, ...]) -> list[int]:
    """The places in a list of the event whose object lacks the address that it must have, a whole one."""
    rows = event.get(name, [])
    if not isinstance(rows, list):
        return [0]
    return [
        at
        for at, row in enumerate(rows)
        if not (isinstance(row, dict) and isinstance(row.get(key), str) and row[key].startswith(begins))
    ]


class HookServer:
    """PagerDuty under ``/v2/enqueue``, a signed receiver under ``/hook``, on 127.0.0.1.

    Parameters
    ----------
    routing_key, secret
        What is accepted.
    """

    def __init__(self, *, routing_key: str = "k" * _KEY_LENGTH, secret: str = "local") -> None:  # noqa: S107 (nobody's)
        self.routing_key, self.secret = routing_key, secret
        self.events: list[dict[str, Any]] = []
        self.hooks: list[dict[str, Any]] = []
        self.throttled: list[int] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer, headers = outer.answer(self.path, body, dict(self.headers.items()))
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, message: str, *values: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers of the answer."""
        if self.throttled:
            return 429, {"status": "throttle exceeded"}, {"Retry-After": str(self.throttled.pop())}
        if path == "/v2/enqueue":
            return self._enqueue(body)
        return self._receive(body, headers) if path == "/hook" else (404, {}, {})

    def _enqueue(self, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if len(body) > PAGERDUTY_LIMIT_BYTES:
            return 413, {"status": "event too large"}, {}
        try:
            event = json.loads(body)
        except ValueError:
            return 400, {"status": "invalid event", "errors": ["not JSON"]}, {}
        if wrong := refuse_event(event, self.routing_key):
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}, {}
        self.events.append(event)
        return 202, {"status": "success", "dedup_key": event.get("dedup_key")}, {}

    def _receive(self, body: bytes, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        stamp = headers.get("X-Sagewatch-Timestamp", "")
        fresh = stamp.isdecimal() and abs(time.time() - int(stamp)) <= TOLERANCE_SECONDS  # noqa: TID251 (an edge)
        expected = sign(body, self.secret, int(stamp)) if stamp.isdecimal() else ""
        if not fresh or not hmac.compare_digest(headers.get("X-Sagewatch-Signature", ""), expected):
            return 401, {"error": "bad signature"}, {}
        try:
            self.hooks.append(json.loads(body))
        except ValueError:
            return 400, {"error": "not JSON"}, {}
        return 200, {}, {}
