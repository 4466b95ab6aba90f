"""A message is sent once: that the first attempt may have been taken is not hidden by what a second is answered."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from sagewatch.aws.ses import SesLetters
from sagewatch.aws.sns import SnsMail
from sagewatch.errors import DeliveryError, RetryError
from tests.unit.aws.local_aws import aws_at
from tests.unit.aws.test_http import serve

SENDER = "a@b.example"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alerts"
SENDS = {
    "mail": lambda: SnsMail(TOPIC).publish_mail("s", "b"),
    "chat": lambda: SnsMail(TOPIC, TOPIC).publish_chat({"version": "1.0"}),
    "letter": lambda: SesLetters().send_letter("a/html_mail", SENDER, ["c@d.example"], b"x"),
}


@contextmanager
def aws_that(*answers):
    """SNS and SES as a server that gives these answers in turn; yields the requests that it saw."""
    waiting = list(answers)

    def answer(handler):
        status, code = waiting.pop(0)
        if status is None:
            handler.close_connection = True  # taken, and the line is cut before a word
            return
        body = b"<ErrorResponse><Error><Code>%s</Code></Error></ErrorResponse>" % code.encode()
        handler.send_response(status)
        handler.send_header("x-amzn-ErrorType", code)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serve(answer) as (port, seen), aws_at(port, "SNS", "SESV2"):
        yield seen


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_line_that_was_cut_is_told_though_a_second_attempt_would_be_refused(send):
    with aws_that((None, ""), (403, "AccessDeniedException")) as seen, pytest.raises(RetryError) as failed:
        send()
    assert len(seen) == 1
    assert failed.value.perhaps_taken


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (500, "InternalFailure"), (503, "ServiceUnavailable"), (502, "x")],
)
def test_a_server_that_failed_may_have_taken_it(send, status, code):
    with aws_that((status, code)) as seen, pytest.raises(RetryError) as failed:
        send()
    assert len(seen) == 1
    assert failed.value.perhaps_taken


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize(("status", "code"), [(400, "Throttling"), (429, "TooManyRequestsException")])
def test_a_server_that_was_busy_has_not_taken_it(send, status, code):
    with aws_that((status, code)) as seen, pytest.raises(RetryError) as failed:
        send()
    assert len(seen) == 1
    assert not failed.value.perhaps_taken


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDeniedException"), (404, "NotFound")])
def test_what_cannot_heal_is_refused_for_good(send, status, code):
    with aws_that((status, code)), pytest.raises(DeliveryError) as refused:
        send()
    assert (refused.value.reason, refused.value.recoverable, refused.value.perhaps_taken) == (
        code,
        False,
        False,
    )
