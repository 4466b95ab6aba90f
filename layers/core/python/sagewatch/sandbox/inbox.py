"""The mails of the alerts topic: what SNS would send to its subscribers goes to the local mail server by SMTP.

moto records mails to e-mail subscriptions and sends nothing, so a queue is subscribed beside them and each message
becomes the mail with the headers and the plain text that SNS would send. What the server refuses is a bounce: as with
SNS, whoever published hears nothing of it, and the log does.
"""

from __future__ import annotations

import json
import logging
import smtplib
import threading
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sagewatch.sandbox.mail_server import MailServer
    from sagewatch.sandbox.worker import Clients

LOG = logging.getLogger(__name__)
SENDER = "Sagewatch <no-reply@sns.amazonaws.com>"
SENDER_ADDRESS = "no-reply@sns.amazonaws.com"
POLL_SECONDS = 2
DEFAULT_SUBJECT = "AWS Notification Message"  # what SNS writes where none is given


def build_mail(notification: Mapping[str, Any], recipient: str) -> EmailMessage:
    """The mail that SNS sends of a notification.

    Parameters
    ----------
    notification
        The JSON that an SQS subscription gets: Subject, Message, Timestamp, TopicArn.
    recipient
        An address.
    """
    mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
    mail["From"] = SENDER
    mail["To"] = recipient
    mail["Subject"] = notification.get("Subject") or DEFAULT_SUBJECT
    mail["Date"] = format_datetime(datetime.fromisoformat(notification["Timestamp"]))
    mail["X-SNS-Topic"] = notification["TopicArn"]
    mail["X-SNS-Message-Id"] = notification["MessageId"]
    mail.set_content(
        notification["Message"]
    )  # a link may be longer than a line of SMTP: encoded where it must be
    return mail


class Inbox:
    """Subscribes to a topic and sends each mail.

    Parameters
    ----------
    clients
        Makes clients of the local AWS.
    topic_arn
        The topic.
    server
        Where the mails go.
    recipient
        The address in `To:`. By default that of the topic's e-mail subscription.
    """

    def __init__(
        self, clients: Clients, topic_arn: str, server: MailServer, *, recipient: str | None = None
    ) -> None:
        self.server = server
        self._sns = clients.client("sns")
        self._sqs = clients.client("sqs")
        self._topic_arn = topic_arn
        self._recipient = recipient
        self._seen: set[str] = set()
        self._url = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="inbox", daemon=True)

    def start(self) -> None:
        """Subscribe, with the filter of the e-mail subscription if there is one, and begin to send."""
        name = f"local-inbox-{self._topic_arn.rsplit(':', 1)[-1]}"
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        attributes = {}
        for subscription in self._mail_subscriptions():
            self._recipient = self._recipient or subscription["Endpoint"]
            attributes = self._filter_of(subscription["SubscriptionArn"])
        self._sns.subscribe(TopicArn=self._topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        self._thread.start()

    def mails(self) -> list[Path]:
        """The files of what arrived, in order of arrival."""
        return self.server.mails()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(POLL_SECONDS + 5)

    def _mail_subscriptions(self) -> list[dict[str, Any]]:
        found = self._sns.list_subscriptions_by_topic(TopicArn=self._topic_arn)["Subscriptions"]
        return [item for item in found if item["Protocol"] == "email"]

    def _filter_of(self, subscription_arn: str) -> dict[str, str]:
        attributes = self._sns.get_subscription_attributes(SubscriptionArn=subscription_arn)["Attributes"]
        return {key: attributes[key] for key in ("FilterPolicy", "FilterPolicyScope") if key in attributes}

    def _poll(self) -> None:
        while not self._stop.is_set():
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=POLL_SECONDS
            )
            for message in answer.get("Messages", []):
                self._send(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _send(self, notification: Mapping[str, Any]) -> None:
        if notification["MessageId"] in self._seen:  # the queue delivered it twice: SNS mailed it once
            return
        self._seen.add(notification["MessageId"])
        to = self._recipient or "inbox@localhost"
        raw = build_mail(notification, to).as_bytes()
        send_mail(self.server.port, SENDER_ADDRESS, [to], raw)


def send_mail(port: int, sender: str, to: Sequence[str], raw: bytes) -> None:
    """Hand a mail to the local mail server; what it refuses is in the log, as a bounce is in a mailbox nobody reads."""
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost", timeout=10) as smtp:
            smtp.sendmail(sender, list(to), raw, mail_options=("BODY=8BITMIME",))
    except (smtplib.SMTPException, OSError) as error:  # no connection at all, or none any more, is an OSError
        LOG.warning("mail_bounced %s", error)
