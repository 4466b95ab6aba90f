"""Mails through SES as moto has it, which refuses what the real one refuses."""

from __future__ import annotations

import email
import email.policy

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from sagewatch.alert.html_mail import render_html_mail
from sagewatch.alert.outbox import Kind
from sagewatch.aws.ses import SesLetters
from sagewatch.errors import DeliveryError
from tests.aws_in_process import empty_aws
from tests.unit.alert.story import HOSTILE, announce, announce_hostile

TO = ("ml-on-call@example.com",)


@pytest.fixture
def letters():
    with empty_aws():
        boto3.client("sesv2").create_email_identity(EmailIdentity="sagewatch@example.com")
        yield SesLetters()


def test_a_mail_arrives_as_it_was_composed(letters):
    raw = render_html_mail(announce(Kind.FIRING, "class-concentration"), "sagewatch@example.com", TO, "ab")
    letters.send_letter("on-call/html_mail", "sagewatch@example.com", TO, raw)
    (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].sent_messages
    mail = email.message_from_string(sent.raw_data, policy=email.policy.default)
    assert str(mail["Subject"]).startswith("[FIRING]")
    assert mail.get_body(("html",)) is not None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_taken_too(letters, name):
    announcement = announce_hostile(Kind.RESOLVED, "data-quality", HOSTILE[name])
    raw = render_html_mail(announcement, "sagewatch@example.com", TO, "ab")
    letters.send_letter("on-call/html_mail", "sagewatch@example.com", TO, raw)


def test_a_sender_that_ses_has_not_verified_is_refused_for_good(letters):
    with pytest.raises(DeliveryError) as error:
        letters.send_letter(
            "on-call/html_mail", "mallory@example.org", TO, b"From: mallory@example.org\r\n\r\nx"
        )
    assert not error.value.recoverable
    assert error.value.reason.startswith("MessageRejected")
