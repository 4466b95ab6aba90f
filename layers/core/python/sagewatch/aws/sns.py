"""``Mail`` through the SNS alerts topic. Source: SNS API reference, Publish (subject, 256 KiB)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from sagewatch.aws.client import ONCE, build_client, read_code, sorting_errors
from sagewatch.aws.deadline import AWS_SECONDS, within
from sagewatch.errors import DeliveryError


class SnsMail:
    """The topic that people subscribe to.

    Parameters
    ----------
    topic_arn
        The topic.
    chat_topic_arn
        The topic of Amazon Q Developer; empty where there is none.
    seconds
        What one call may take.
    """

    def __init__(self, topic_arn: str, chat_topic_arn: str = "", seconds: float = AWS_SECONDS) -> None:
        self._seconds = seconds
        self._topic_arn = topic_arn
        self._chat_topic_arn = chat_topic_arn
        self._client = build_client("sns", ONCE)

    def publish_mail(self, subject: str, body: str) -> str:
        """Send to all subscribers; the message's id."""
        with _sorting_refusals("mail"):
            answer = self._publish_in_time(TopicArn=self._topic_arn, Subject=subject, Message=body)
        return str(answer["MessageId"])

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        """Send a custom notification."""
        if not self._chat_topic_arn:
            raise DeliveryError("amazon_q", "no_chat_topic", recoverable=False)
        with _sorting_refusals("amazon_q"):
            self._publish_in_time(
                TopicArn=self._chat_topic_arn, Message=json.dumps(message, ensure_ascii=False)
            )

    def _publish_in_time(self, **message: str) -> Mapping[str, Any]:
        return within(self._seconds, partial(self._client.publish, **message))


@contextmanager
def _sorting_refusals(channel: str) -> Iterator[None]:
    """Turn what SNS refuses for good (a key, a right, a topic that is gone) into a ``DeliveryError``."""
    try:
        with sorting_errors():
            yield
    except ClientError as error:
        raise DeliveryError(channel, read_code(error), recoverable=False) from error
