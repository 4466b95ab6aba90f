"""The HTTP side of the local Slack: addresses, tokens and bodies -> calls, and their answers."""

from __future__ import annotations

import http.server
import json
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any, Protocol

from sagewatch.sandbox.slack_rules import RefusedError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)


class SlackCalls(Protocol):
    """What the server asks of the local Slack."""

    def take_throttle(self) -> int | None:
        """Seconds to wait, if this request is to be refused."""

    def call(self, method: str, arguments: Mapping[str, Any], token: str | None) -> dict[str, Any]:
        """One method of the Web API."""

    def webhook(self, channel: str, message: Mapping[str, Any]) -> None:
        """What an incoming webhook gets."""

    def answer_press(self, message: Mapping[str, Any]) -> None:
        """What an answer to a press of a button gets."""

    def receive_file(self, file_id: str, content: bytes) -> None:
        """An upload."""


class Server(http.server.ThreadingHTTPServer):
    """Listens on the socket that `Slack` bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, slack: SlackCalls) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.slack = slack


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Server

    def do_GET(self) -> None:
        """Methods may be called with GET and a query."""
        self._answer_request(b"")

    def do_POST(self) -> None:
        """A method, an upload, or a webhook."""
        self._answer_request(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, message: str, *values: Any) -> None:
        """To the sandbox's log, not to the terminal."""
        LOG.debug(message, *values)

    def _answer_request(self, body: bytes) -> None:
        wait = self.server.slack.take_throttle()
        if wait is not None:
            content = json.dumps({"ok": False, "error": "ratelimited"})
            self._answer(429, "application/json", content, {"Retry-After": str(wait)})
            return
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/api/"):
            self._method(url.path.removeprefix("/api/"), body, url.query)
        elif url.path.startswith("/services/"):
            self._webhook(url.path.rsplit("/", 1)[-1], body)
        elif url.path.startswith("/actions/"):
            self._press_answer(body)
        elif url.path.startswith("/upload/"):
            self._upload(url.path.rsplit("/", 1)[-1], body)
        else:
            self._answer(404, "text/plain", "no such page")

    def _method(self, method: str, body: bytes, query: str) -> None:
        arguments: dict[str, Any] = dict(urllib.parse.parse_qsl(query))
        if "json" in (self.headers.get("Content-Type") or ""):
            try:
                arguments |= json.loads(body)
            except ValueError:
                self._answer(200, "application/json", json.dumps({"ok": False, "error": "invalid_json"}))
                return
        else:
            arguments |= dict(urllib.parse.parse_qsl(body.decode()))
            if isinstance(arguments.get("blocks"), str):
                arguments["blocks"] = json.loads(arguments["blocks"])
        authorization = self.headers.get("Authorization") or ""
        token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else None
        try:
            answer = {"ok": True, **self.server.slack.call(method, arguments, token)}
        except RefusedError as error:
            answer = {"ok": False, "error": error.code}
            if error.details:
                answer |= {"errors": error.details, "response_metadata": {"messages": error.details}}
        self._answer(200, "application/json", json.dumps(answer))

    def _webhook(self, channel: str, body: bytes) -> None:
        try:
            self.server.slack.webhook(channel, json.loads(body))
        except ValueError:
            self._answer(400, "text/plain", "invalid_payload")
        except RefusedError as error:
            self._answer(404 if error.code == "channel_not_found" else 400, "text/plain", error.code)
        else:
            self._answer(200, "text/plain", "ok")

    def _press_answer(self, body: bytes) -> None:
        try:
            self.server.slack.answer_press(json.loads(body))
        except ValueError:
            self._answer(400, "text/plain", "invalid_payload")
        else:
            self._answer(200, "text/plain", "ok")

    def _upload(self, file_id: str, body: bytes) -> None:
        try:
            self.server.slack.receive_file(file_id, body)
        except RefusedError as error:
            self._answer(404, "text/plain", error.code)
        else:
            self._answer(200, "text/plain", f"OK - {len(body)}")

    def _answer(
        self, status: int, content_type: str, content: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = content.encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": content_type}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
