"""A notification becomes the mail that SNS would send."""

from __future__ import annotations

from sagewatch.sandbox.inbox import build_mail
from sagewatch.sandbox.mail_server import render_mail

NOTIFICATION = {
    "MessageId": "id",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alerts",
    "Subject": "[firing] signs",
    "Message": "It began at 10:00.\n" + "x" * 900,
    "Timestamp": "2026-11-21T20:39:59.000Z",
}


def test_a_mail_has_headers_an_empty_line_and_the_text() -> None:
    text = render_mail(build_mail(NOTIFICATION, "a@example.com"))
    assert text.startswith(
        "From: Sagewatch <no-reply@sns.amazonaws.com>\nTo: a@example.com\nSubject: [firing] signs\n"
        "Date: Sat, 21 Nov 2026 20:39:59 +0000\n\nIt began at 10:00.\nxxx"
    )


def test_a_notification_without_subject_gets_snss_own() -> None:
    mail = build_mail(
        {key: value for key, value in NOTIFICATION.items() if key != "Subject"}, "a@example.com"
    )
    assert mail["Subject"] == "AWS Notification Message"
