"""A receiver that drips its answer, and one that sends on to another host: the call is over, and no secret travels."""

from __future__ import annotations

import socket
import threading
import time
from functools import partial

import pytest

from sagewatch.alert.content import Picture
from sagewatch.aws.deadline import AWS_SECONDS, CALL_SECONDS, Deadline, within
from sagewatch.aws.http import HttpHooks
from sagewatch.aws.replies import SlackReplies
from sagewatch.aws.ses import SesLetters
from sagewatch.aws.slack import SlackChat
from sagewatch.aws.sns import SnsMail
from sagewatch.errors import DeliveryError, RetryError
from sagewatch.flows.settle_target import CLAIM
from sagewatch.monitors.receivers import (
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    SlackWebhookReceiver,
    WebhookReceiver,
)
from tests.unit.aws.local_aws import aws_at
from tests.unit.aws.test_http import NOW, serve
from tests.unit.aws.test_sending_once import SENDER, TOPIC
from tests.unit.aws.test_slack import Tokens

SECONDS = 0.4
PICTURE = Picture(title="a heat map", png=b"\x89PNG")


def drip(handler, words, every=0.05):
    """Say it byte by byte, each long before a read's timeout, until nobody listens."""
    handler.close_connection = True
    try:
        for one in words:
            handler.wfile.write(bytes([one]))
            handler.wfile.flush()
            time.sleep(every)
    except OSError:
        return


def list_sends(port, seconds):
    """Every way in which something is sent to a receiver over HTTP, to the server at the port."""
    url = f"http://127.0.0.1:{port}"
    receiver = Receiver(
        webhook=WebhookReceiver(url=f"{url}/hook", secret="sign"),
        pagerduty=PagerDutyReceiver(key="key", url=f"{url}/v2/enqueue"),
        slack_webhook=SlackWebhookReceiver(url="address"),
    )
    hooks = HttpHooks({"on-call": receiver}, {"sign": "s", "key": "k", "address": f"{url}/T/B"}.get, seconds)
    slack = SlackReceiver(channel="#ml", token="name", api_url=f"{url}/api/")
    chat = SlackChat({"on-call": slack}, Tokens(), seconds)
    return {
        "webhook": lambda: hooks.post_hook("on-call/webhook", {}, NOW),
        "pagerduty": lambda: hooks.post_hook("on-call/pagerduty", {}, NOW),
        "slack_webhook": lambda: hooks.post_hook("on-call/slack_webhook", {}, NOW),
        "slack": lambda: chat.post_message("on-call", {"text": "words"}),
        "slack_update": lambda: chat.update_message("on-call", "C1:1.2", {"text": "words"}),
        "slack_upload": lambda: chat.upload_pictures("on-call", "C1:1.2", [PICTURE]),
    }


WAYS = tuple(list_sends(0, 0))
DRIPS = {
    "status line": b"HTTP/1.1 200 " + b"O" * 400,
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 60,
    "body": b'HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{"ok": true, "a": "' + b"x" * 400,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["status line", "headers"])
def test_a_receiver_that_drips_is_given_up_at_the_deadline_and_was_perhaps_told(way, what):
    with serve(lambda handler: drip(handler, DRIPS[what])) as (port, _):
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="TimeoutError") as failed:
            list_sends(port, SECONDS)[way]()
        assert time.monotonic() - began < 3 * SECONDS
    assert (failed.value.recoverable, failed.value.perhaps_taken) == (True, True)


@pytest.mark.parametrize("way", ["slack", "slack_update", "slack_upload"])
def test_an_answer_whose_body_drips_is_given_up_too(way):
    def answer(handler):
        handler.wfile.write(DRIPS["body"][:60])
        drip(handler, DRIPS["body"][60:])

    with serve(answer) as (port, _), pytest.raises(DeliveryError, match="TimeoutError") as failed:
        list_sends(port, SECONDS)[way]()
    assert failed.value.perhaps_taken


def test_a_refusal_whose_body_drips_is_judged_by_its_status():
    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 429 Slow\r\nRetry-After: 37\r\nContent-Length: 300\r\n\r\n")
        drip(handler, b"x" * 300)

    with serve(answer) as (port, _), pytest.raises(DeliveryError) as failed:
        list_sends(port, SECONDS)["webhook"]()
    assert (failed.value.after_seconds, failed.value.perhaps_taken) == (37, False)


def test_a_line_that_never_speaks_tls_is_cut_and_was_not_told():
    """The handshake stands before the request: nothing of it went out."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            line, _ = server.accept()
            with line:
                line.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB, and then bit by bit
                for _ in range(60):
                    time.sleep(0.05)
                    try:
                        line.sendall(b"\x02")
                    except OSError:
                        return

        thread = threading.Thread(target=answer)
        thread.start()
        receiver = Receiver(
            webhook=WebhookReceiver(url=f"https://127.0.0.1:{server.getsockname()[1]}/", secret="sign")
        )
        began = time.monotonic()
        with pytest.raises(DeliveryError) as failed:
            HttpHooks({"on-call": receiver}, lambda _: "s", SECONDS).post_hook("on-call/webhook", {}, NOW)
        assert time.monotonic() - began < 3 * SECONDS
        thread.join()
    assert (failed.value.recoverable, failed.value.perhaps_taken) == (True, False)


@pytest.mark.parametrize(
    "send",
    [
        lambda: SnsMail(TOPIC, seconds=SECONDS).publish_mail("s", "b"),
        lambda: SnsMail(TOPIC, TOPIC, SECONDS).publish_chat({"version": "1.0"}),
        lambda: SesLetters(SECONDS).send_letter("a/html_mail", SENDER, ["c@d.example"], b"x"),
    ],
    ids=["mail", "chat", "letter"],
)
def test_aws_that_drips_is_given_up_at_the_deadline_and_has_perhaps_taken_it(send):
    # Few words: nobody cuts this line, so it drips to its end.
    answer = partial(drip, words=DRIPS["headers"][:40])
    with serve(answer) as (port, _), aws_at(port, "SNS", "SESV2"):
        began = time.monotonic()
        with pytest.raises(RetryError, match="TimeoutError") as failed:
            send()
        assert time.monotonic() - began < 3 * SECONDS
    assert failed.value.perhaps_taken


def test_an_answer_to_a_person_does_not_wait_for_slack_longer_than_slack_waits_for_us():
    with serve(lambda handler: drip(handler, DRIPS["headers"])) as (port, _):
        began = time.monotonic()
        with pytest.raises(RetryError, match="TimeoutError"):
            SlackReplies([f"http://127.0.0.1:{port}/"]).answer_privately(
                f"http://127.0.0.1:{port}/1", "words"
            )
        assert time.monotonic() - began < 2


def test_the_calls_of_one_message_end_before_its_claim():
    # Slack: changed in place with an old token and a new one, the line in the thread, and posted anew.
    assert CLAIM.total_seconds() > 5 * CALL_SECONDS
    assert CLAIM.total_seconds() > AWS_SECONDS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_secret_follows_a_redirect_to_another_host(way, status):
    def fine(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(fine) as (elsewhere, strays):

        def answer(handler):
            handler.send_response(status)
            handler.send_header("Location", f"http://localhost:{elsewhere}/SECRET")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with serve(answer) as (port, seen), pytest.raises(DeliveryError) as refused:
            list_sends(port, 5)[way]()
    assert strays == []
    assert len(seen) == 1
    assert refused.value.reason == (
        f"HTTP {status}: sends on to localhost, and a secret goes to no other address: "
        "give the receiver its new one"
    )
    assert (refused.value.recoverable, refused.value.perhaps_taken) == (False, False)


def test_pictures_follow_no_redirect_of_their_own_address():
    def fine(handler):
        handler.send_response(200)
        handler.end_headers()

    with serve(fine) as (elsewhere, strays):

        def answer(handler):
            upload = handler.path == "/upload"
            handler.send_response(307 if upload else 200)
            if upload:
                handler.send_header("Location", f"http://localhost:{elsewhere}/")
            body = (
                b""
                if upload
                else b'{"ok": true, "upload_url": "http://127.0.0.1:%d/upload", "file_id": "F1"}'
                % handler.server.server_port
            )
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        with (
            serve(answer) as (port, _),
            pytest.raises(DeliveryError, match="sends on to localhost") as refused,
        ):
            list_sends(port, 5)["slack_upload"]()
    assert strays == []
    assert not refused.value.recoverable


def test_only_http_is_opened():
    from urllib.error import URLError
    from urllib.request import Request

    with Deadline(5) as call, pytest.raises(URLError, match="unknown url type"):
        call.open(Request("file:///etc/hostname", data=b"x"), timeout=1)


def test_what_ends_in_time_is_what_it_is():
    assert within(5, lambda: "an answer") == "an answer"
    with pytest.raises(KeyError):
        within(5, lambda: {}["absent"])
