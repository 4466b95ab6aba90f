"""Hooks over HTTP against a server that answers what a broken, moved or hostile receiver answers."""

from __future__ import annotations

import html
import json
import threading
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote, quote_plus, unquote

import pytest

from sagewatch.alert.webhook import sign
from sagewatch.aws.http import HttpHooks
from sagewatch.aws.replies import SlackReplies
from sagewatch.aws.slack import SlackChat
from sagewatch.errors import DeliveryError, RetryError
from sagewatch.monitors.receivers import (
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    SlackWebhookReceiver,
    WebhookReceiver,
)

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

        do_GET = do_PUT = do_POST  # noqa: N815 - http.server asks for these names

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
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


SECRET = "T0P/s3cret+k3y=0123456789abcdef"


def build_hooks(port, known, now=None):
    """Hooks to the port's server, whose secret was known as one thing and is now another."""
    address = f"http://127.0.0.1:{port}"
    receivers = {
        "hook": Receiver(webhook=WebhookReceiver(url=f"{address}/hook?tenant=ab&token=0123456789", secret="name")),
        "page": Receiver(pagerduty=PagerDutyReceiver(key="name", url=f"{address}/v2/enqueue")),
        "chat": Receiver(slack_webhook=SlackWebhookReceiver(url="name")),
    }  # fmt: skip
    refresh = None if now is None else lambda _: now.format(port=port)
    return HttpHooks(receivers, lambda _: known.format(port=port), refresh_secret=refresh)


def answer_if(is_right, status):
    def answer(handler):
        code = 202 if is_right(handler, handler.server.seen[-1][2]) else status
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.mark.parametrize(
    ("target", "status", "old", "new", "is_right"),
    [
        ("page/pagerduty", 400, "old", "new", lambda _, body: json.loads(body)["routing_key"] == "new"),
        ("hook/webhook", 401, "old", "new", lambda handler, body: is_signed_with(handler, body, "new")),
        ("hook/webhook", 403, "old", "new", lambda handler, body: is_signed_with(handler, body, "new")),
        *(
            ("chat/slack_webhook", status, "http://127.0.0.1:{port}/old", "http://127.0.0.1:{port}/new\n",
             lambda handler, _: handler.path == "/new")
            for status in (403, 404, 410)
        ),
    ],
)  # fmt: skip
def test_a_secret_that_was_rotated_is_looked_up_at_once(target, status, old, new, is_right):
    with serve(answer_if(is_right, status)) as (port, seen):
        build_hooks(port, old, new).post_hook(target, {"event": "firing"}, NOW)
        assert len(seen) == 2
        with pytest.raises(DeliveryError, match=str(status)):
            build_hooks(port, old, old).post_hook(target, {"event": "firing"}, NOW)
        assert len(seen) == 3  # the same secret is refused once


def is_signed_with(handler, body, secret):
    at = int(handler.headers["X-Sagewatch-Timestamp"])
    return handler.headers["X-Sagewatch-Signature"] == sign(body, secret, at)


@pytest.mark.parametrize("status", [413, 429, 500])
def test_what_is_no_secrets_fault_is_asked_once(status):
    with serve(answer_if(lambda *_: False, status)) as (port, seen), pytest.raises(DeliveryError):
        build_hooks(port, "old", "new").post_hook("page/pagerduty", {}, NOW)
    assert len(seen) == 1


@pytest.mark.parametrize("target", ["page/pagerduty", "hook/webhook", "chat/slack_webhook"])
@pytest.mark.parametrize(
    "encode", [str, quote_plus, lambda text: quote(text, safe=""), json.dumps, html.escape, str.upper]
)
@pytest.mark.parametrize("before", [0, 280, 4085])
def test_no_secret_that_a_server_echoes_is_kept(target, encode, before):
    def answer(handler):
        said = " ".join((handler.path, handler.seen_body, SECRET if target != "chat/slack_webhook" else ""))
        body = ("x" * before + encode(said)).encode()
        handler.send_response(404)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def echo(handler):
        handler.seen_body = handler.server.seen[-1][2].decode()
        answer(handler)

    known = f"http://127.0.0.1:{{port}}/services/{SECRET}?x=1&y=2" if target.startswith("chat") else SECRET
    with serve(echo) as (port, _), pytest.raises(DeliveryError) as refused:
        build_hooks(port, known).post_hook(target, {"event": "firing"}, NOW)
    assert refused.value.reason.startswith("HTTP 404: ")
    assert len(refused.value.reason) <= 320
    for part in ("s3cret", "0123456789", "T0P"):
        assert part.lower() not in unquote(str(refused.value)).lower()


@pytest.mark.parametrize("target", ["page/pagerduty", "chat/slack_webhook"])
def test_blanks_around_a_key_and_an_address_are_none_of_it(target):
    secret = " http://127.0.0.1:{port}/new\r\n" if target.startswith("chat") else " new\n"
    right = {
        "page/pagerduty": lambda _, body: json.loads(body)["routing_key"] == "new",
        "chat/slack_webhook": lambda handler, _: handler.path == "/new",
    }
    with serve(answer_if(right[target], 400)) as (port, seen):
        build_hooks(port, secret).post_hook(target, {}, NOW)
        assert len(seen) == 1


def test_a_webhook_is_signed_with_its_secret_to_the_last_byte():
    """Whoever checks it may have read the same secret as it stands, with the newline that an editor left."""
    with serve(answer_if(lambda handler, body: is_signed_with(handler, body, "new\n"), 401)) as (port, _):
        build_hooks(port, "new\n").post_hook("hook/webhook", {}, NOW)


def test_a_slack_token_has_no_blanks_around_it():
    class Tokens:
        def get_secret(self, _):
            return "xoxb-1\n"

        refresh_secret = get_secret

    def answer(handler):
        body = b'{"ok": true, "channel": "C1", "ts": "1"}'
        handler.send_response(200 if handler.headers["Authorization"] == "Bearer xoxb-1" else 400)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serve(answer) as (port, _):
        settings = SlackReceiver(channel="#ml", token="name", api_url=f"http://127.0.0.1:{port}/api/")
        assert SlackChat({"on-call": settings}, Tokens()).post_message("on-call", {}) == "C1:1"
