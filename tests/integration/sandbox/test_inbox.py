"""What the alerts topic mails is a file in the inbox, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.inbox import Inbox
from sagewatch.sandbox.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sagewatch.sandbox.local_aws import LocalAws


def test_a_published_alert_is_a_mail_to_the_subscribed_address(
    aws: LocalAws, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    topic = aws.deployment.outputs["TopicArn"]
    with MailServer(tmp_path / "mail") as server:
        inbox = Inbox(aws, topic, server)
        inbox.start()
        sns = aws.client("sns")
        sns.publish(
            TopicArn=topic, Subject="[firing] traffic-signs: Stop", Message="first line\nsecond — line\n"
        )
        sns.publish(TopicArn=topic, Message="no subject")
        first, second = eventually(lambda: m if len(m := inbox.mails()) == 2 else None)
        inbox.stop()
    text = first.read_text(encoding="utf-8")
    headers, _, body = text.partition("\n\n")
    assert headers.splitlines()[:3] == [
        "From: Sagewatch <no-reply@sns.amazonaws.com>",
        "To: on-call@example.com",
        "Subject: [firing] traffic-signs: Stop",
    ]
    assert headers.splitlines()[3].startswith("Date: ")
    assert body == "first line\nsecond — line\n"
    assert first.name == "0001-firing-traffic-signs-stop.txt"
    assert "AWS Notification Message" in second.read_text(encoding="utf-8")
