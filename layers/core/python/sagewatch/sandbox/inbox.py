"""The mailbox of the local AWS: what the alerts topic would mail, as text files.

moto records mails to e-mail subscriptions and sends nothing, so a queue is subscribed beside them and each message
becomes a file with the headers and the plain text that SNS would send.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sagewatch.sandbox.worker import Clients

LOG = logging.getLogger(__name__)
SENDER = "Sagewatch <no-reply@sns.amazonaws.com>"
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
    mail.set_content(notification["Message"], cte="8bit")
    return mail


def render_mail(mail: EmailMessage) -> str:
    """The mail as a person reads it: the headers that matter, an empty line, the text."""
    headers = "".join(f"{name}: {mail[name]}\n" for name in ("From", "To", "Subject", "Date"))
    text: str = mail.get_content()
    return headers + "\n" + text.replace("\r\n", "\n")


def file_name(number: int, subject: str) -> str:
    """The name of a mail's file: it sorts by arrival and tells the subject.

    Examples
    --------
    >>> file_name(3, "[FIRING] traffic-signs: class 14")
    '0003-firing-traffic-signs-class-14.txt'
    """
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:60].rstrip("-")
    return f"{number:04d}-{words or 'mail'}.txt"


class Inbox:
    """Subscribes to a topic and writes each mail as a file.

    Parameters
    ----------
    clients
        Makes clients of the local AWS.
    topic_arn
        The topic.
    directory
        Gets the files; made if absent.
    recipient
        The address in `To:`. By default that of the topic's e-mail subscription.
    """

    def __init__(
        self, clients: Clients, topic_arn: str, directory: Path, *, recipient: str | None = None
    ) -> None:
        self.directory = directory
        self._sns = clients.client("sns")
        self._sqs = clients.client("sqs")
        self._topic_arn = topic_arn
        self._recipient = recipient
        self._received = 0
        self._seen: set[str] = set()
        self._url = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="inbox", daemon=True)

    def start(self) -> None:
        """Subscribe, with the filter of the e-mail subscription if there is one, and begin to write."""
        self.directory.mkdir(parents=True, exist_ok=True)
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
        """The files, in order of arrival."""
        return sorted(self.directory.glob("*.txt"))

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
                self._write(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _write(self, notification: Mapping[str, Any]) -> None:
        if notification["MessageId"] in self._seen:  # the queue delivered it twice: SNS mailed it once
            return
        self._seen.add(notification["MessageId"])
        self._received += 1
        mail = build_mail(notification, self._recipient or "inbox@localhost")
        path = self.directory / file_name(self._received, mail["Subject"])
        path.write_text(render_mail(mail), encoding="utf-8")
        LOG.info("mail_received %s", path.name)
