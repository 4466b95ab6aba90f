"""What Slack, or what stands before it, answers: tried again or not, and whether the message may be in the channel."""

from __future__ import annotations

import pytest

from sagewatch.alert.content import Picture
from sagewatch.aws.slack import SlackChat
from sagewatch.errors import DeliveryError
from sagewatch.monitors.receivers import SlackReceiver
from tests.unit.aws.test_http import serve


class Tokens:
    """One token, which never changes."""

    def get_secret(self, _):
        return "xoxb-1"

    refresh_secret = get_secret


def post(port):
    settings = SlackReceiver(channel="#ml", token="name", api_url=f"http://127.0.0.1:{port}/api/")
    return SlackChat({"on-call": settings}, Tokens()).post_message("on-call", {"text": "words"})


def answering(status, body, retry_after=None):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            handler.send_header("Retry-After", retry_after)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def fail(status, body, retry_after=None):
    with serve(answering(status, body, retry_after)) as (port, seen), pytest.raises(DeliveryError) as failed:
        post(port)
    assert len(seen) == 1
    return failed.value


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "service_unavailable", "request_timeout"])
@pytest.mark.parametrize("status", [200, 503])
def test_where_slack_itself_failed_the_message_may_be_in_the_channel(code, status):
    error = fail(status, b'{"ok": false, "error": "%s"}' % code.encode())
    assert (error.reason, error.recoverable, error.perhaps_taken) == (code, True, True)


@pytest.mark.parametrize(
    ("code", "recoverable"), [("ratelimited", True), ("channel_not_found", False), ("is_archived", False)]
)
def test_what_slack_refused_is_not_in_the_channel(code, recoverable):
    error = fail(200, b'{"ok": false, "error": "%s"}' % code.encode())
    assert (error.reason, error.recoverable, error.perhaps_taken) == (code, recoverable, False)


@pytest.mark.parametrize("body", [b"", b"<html>slow down</html>", b'{"ok": false, "error": "ratelimited"}'])
def test_too_many_is_waited_for_whatever_the_body_says(body):
    error = fail(429, body, retry_after="37")
    assert (error.recoverable, error.after_seconds, error.perhaps_taken) == (True, 37, False)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_a_page_of_something_before_slack_is_no_reason(status):
    error = fail(status, b"<html>secret words</html>")
    assert (error.reason, error.recoverable, error.perhaps_taken) == (f"HTTP {status}", True, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"\xff\xfe", b'{"ok": true}', b'{"ok": true, "channel": null, "ts": null}'],
)
def test_an_answer_that_is_none_of_slacks_may_be_of_a_message_that_was_taken(body):
    error = fail(200, body)
    assert (error.reason, error.recoverable, error.perhaps_taken) == ("unreadable_answer", True, True)


def test_what_is_not_found_at_the_address_is_refused_for_good():
    assert not fail(404, b"nope").recoverable


def test_a_rotated_token_is_looked_up_for_pictures_too():
    class Rotated(Tokens):
        def refresh_secret(self, _):
            return "xoxb-2"

    def answer(handler):
        known = handler.headers["Authorization"] == "Bearer xoxb-2"
        answering(200, b'{"ok": false, "error": "%s"}' % (b"file_too_big" if known else b"invalid_auth"))(
            handler
        )

    with serve(answer) as (port, seen):
        settings = SlackReceiver(channel="#ml", token="name", api_url=f"http://127.0.0.1:{port}/api/")
        chat = SlackChat({"on-call": settings}, Rotated())
        with pytest.raises(DeliveryError, match="file_too_big"):
            chat.upload_pictures("on-call", "C1:1.0", [Picture("Answered Stop", b"png")])
        assert len(seen) == 2
