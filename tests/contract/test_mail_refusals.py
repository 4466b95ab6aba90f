"""The local SNS and SES refuse what the real ones refuse, by their own codes; every mail of ours is taken."""

from __future__ import annotations

import boto3
import pytest
from moto.ses.models import SESBackend
from moto.sns.models import SNSBackend

from sagewatch.alert.html_mail import render_html_mail
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Kind
from sagewatch.aws.ses import SesLetters
from sagewatch.aws.sns import SnsMail
from sagewatch.errors import DeliveryError
from sagewatch.incident.describe import KINDS
from sagewatch.sandbox.mail_rules import LETTER_LIMIT_BYTES
from sagewatch.sandbox.moto_gaps.mail_limits import refuse_letters, refuse_notifications
from tests.aws_in_process import empty_aws
from tests.unit.alert.story import HOSTILE, announce, announce_hostile

SENDER, TO = "sagewatch@example.com", ("ml-on-call@example.com",)
HEAD = b"From: sagewatch@example.com\r\nTo: ml-on-call@example.com\r\nSubject: x\r\n"


@pytest.fixture
def strict(monkeypatch):
    """AWS in this process, with the rules of the sandbox."""
    monkeypatch.setattr(SNSBackend, "publish", refuse_notifications(SNSBackend.publish))
    monkeypatch.setattr(SESBackend, "send_raw_email", refuse_letters(SESBackend.send_raw_email))
    with empty_aws():
        yield


@pytest.fixture
def mail(strict):
    return SnsMail(boto3.client("sns").create_topic(Name="alerts")["TopicArn"])


@pytest.fixture
def letters(strict):
    boto3.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    return SesLetters()


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("caf\u00e9", "x"), ("\U0001f6d1 firing", "x"), (" begins with a space", "x"), ("two\nlines", "x"), ("bell\x07", "x"),
        ("y" * 101, "x"), ("s", ""), ("s", "z" * (256 * 1024 + 1)), ("s", "\u00e9" * (128 * 1024 + 1)),
    ],
)  # fmt: skip
def test_sns_refuses_for_good(mail, subject, body):
    with pytest.raises(DeliveryError) as refused:
        mail.publish_mail(subject, body)
    assert not refused.value.recoverable


def test_sns_takes_what_is_just_within_its_limits(mail):
    assert mail.publish_mail("y" * 99, "\u00e9" * (128 * 1024))


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: no sender\r\n\r\nx",
        HEAD + b"Subject: again\r\n\r\nx",
        HEAD + b"X-Name: caf\xc3\xa9\r\n\r\nx",
        HEAD + b"\r\n" + b"x" * 999,
        HEAD + b"\r\n" + b"x\r\n" * (LETTER_LIMIT_BYTES // 3),
    ],
    ids=["no sender", "two subjects", "bytes in a header", "a long line", "too long"],
)
def test_ses_refuses_for_good(letters, raw):
    with pytest.raises(DeliveryError, match="MessageRejected") as refused:
        letters.send_letter("on-call/html_mail", SENDER, TO, raw)
    assert not refused.value.recoverable


def test_ses_takes_what_is_just_within_its_limits(letters):
    letters.send_letter("on-call/html_mail", SENDER, TO, HEAD + b"\r\n" + b"x" * 998)


@pytest.mark.parametrize("finding_kind", KINDS)
def test_every_mail_of_ours_is_taken(mail, letters, finding_kind):
    announcements = [announce(kind, finding_kind) for kind in Kind]
    announcements += [announce_hostile(Kind.FIRING, finding_kind, text) for text in HOSTILE.values()]
    for one in announcements:
        text = render_mail(one)
        mail.publish_mail(text.subject, text.body)
        letters.send_letter("on-call/html_mail", SENDER, TO, render_html_mail(one, SENDER, TO, "ab"))
