"""Hooks over HTTP against a server that answers what a broken, moved or hostile receiver answers."""

from __future__ import annotations

import threading
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sagewatch.aws.http import HttpHooks
from sagewatch.aws.replies import SlackReplies
from sagewatch.aws.slack import SlackChat
from sagewatch.errors import DeliveryError, RetryError
from sagewatch.monitors.receivers import Receiver, SlackReceiver, SlackWebhookReceiver, WebhookReceiver

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


def test_a_server_that_speaks_no_http_is_tried_again():
    def answer(handler):
        handler.wfile.write(b"junk\r\n")

    with serve(answer) as (port, _), pytest.raises(DeliveryError, match="BadStatusLine") as failed:
        post(port)
    assert failed.value.recoverable


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("37", 37), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("Wed, 21 Oct 2026 07:26:00 GMT", 0), ("tomorrow", None),
        ("9" * 400, None), ("-1", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds_or_a_date_by_the_servers_own_clock(said, seconds):
    def answer(handler):
        handler.date_time_string = lambda *_: "Wed, 21 Oct 2026 07:27:00 GMT"
        handler.send_response(429)
        handler.send_header("Retry-After", said)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(answer) as (port, _), pytest.raises(DeliveryError) as failed:
        post(port)
    assert (failed.value.recoverable, failed.value.after_seconds) == (True, seconds)


@pytest.mark.parametrize(
    "address",
    [
        '{"url": "https://h.example/SECRET"}',
        "h.example/SECRET",
        "https://h.example/a SECRET",
        "https://[SECRET",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_told(address):
    receiver = Receiver(slack_webhook=SlackWebhookReceiver(url="name"))
    with pytest.raises(DeliveryError) as refused:
        HttpHooks({"on-call": receiver}, lambda _: address).post_hook("on-call/slack_webhook", {}, NOW)
    assert not refused.value.recoverable
    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


def test_a_slack_token_that_cannot_be_a_header_is_refused_and_not_told():
    class Tokens:
        def get_secret(self, _):
            return "xoxb-SECRET\nSECRET"

        refresh_secret = get_secret

    settings = SlackReceiver(channel="#ml", token="name", api_url="http://127.0.0.1:9/api/")
    with pytest.raises(DeliveryError) as refused:
        SlackChat({"on-call": settings}, Tokens()).post_message("on-call", {})
    assert not refused.value.recoverable
    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


def test_what_went_out_and_was_not_answered_may_have_been_taken():
    def answer(handler):
        handler.close_connection = True  # hangs up without a word

    with serve(answer) as (port, _), pytest.raises(DeliveryError) as failed:
        post(port)
    assert (failed.value.recoverable, failed.value.perhaps_taken) == (True, True)
    with pytest.raises(DeliveryError) as failed:
        post(port)  # nobody listens any more
    assert (failed.value.recoverable, failed.value.perhaps_taken) == (True, False)


def test_an_answer_to_a_person_follows_no_redirect():
    def answer(handler):
        handler.send_response(307)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(answer) as (port, seen):
        replies = SlackReplies([f"http://127.0.0.1:{port}/api/"])
        with pytest.raises(RetryError):
            replies.answer_privately(f"http://127.0.0.1:{port}/actions/1", "words")
        assert [path for _, path, _ in seen] == ["/actions/1"]


@pytest.mark.parametrize(
    ("code", "perhaps"),
    [(429, False), (425, False), (400, False), (408, True), (500, True), (502, True), (504, True)],
)
def test_what_a_gateway_gave_up_on_may_have_been_taken(code, perhaps):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(answer) as (port, _), pytest.raises(DeliveryError) as failed:
        post(port)
    assert failed.value.perhaps_taken is perhaps
    assert failed.value.recoverable is (code != 400)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/actions/one two",
        "http://127.0.0.1:{port}/\x00",
        "http://[::1",
        "ftp://127.0.0.1:{port}/",
    ],
)
def test_an_answer_to_a_person_at_an_address_that_is_none_is_not_taken(url):
    with pytest.raises(RetryError):
        SlackReplies(["http://127.0.0.1:9/api/"]).answer_privately(url.format(port=9), "words")


def test_an_answer_to_a_person_that_no_http_answers_is_not_taken():
    def answer(handler):
        handler.wfile.write(b"junk\r\n")

    with serve(answer) as (port, _), pytest.raises(RetryError, match="BadStatusLine"):
        SlackReplies([f"http://127.0.0.1:{port}/"]).answer_privately(f"http://127.0.0.1:{port}/1", "words")
