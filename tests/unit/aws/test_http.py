"""Hooks over HTTP against a server that answers what a broken, moved or hostile receiver answers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sagewatch.alerting import Receiver, WebhookReceiver
from sagewatch.aws.http import HttpHooks
from sagewatch.errors import DeliveryError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@contextmanager
def serve(answer):
    """A server whose every answer ``answer(handler)`` writes; yields its port and the requests it saw."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.command, self.path, body))
            answer(self)

        do_GET = do_POST  # noqa: N815 - http.server asks for this name

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(port, secret="s"):
    receiver = Receiver(webhook=WebhookReceiver(url=f"http://127.0.0.1:{port}/hook", secret="sign"))
    HttpHooks({"on-call": receiver}, lambda _: secret).post_hook("on-call/webhook", {"event": "firing"}, NOW)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_not_taken_for_a_delivery(status):
    def answer(handler):
        moved = handler.path == "/hook"
        handler.send_response(status if moved else 200)
        if moved:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(answer) as (port, seen):
        with pytest.raises(DeliveryError, match=str(status)) as refused:
            post(port)
        assert [(command, path) for command, path, _ in seen] == [("POST", "/hook")]
    assert not refused.value.recoverable
