"""``Mail`` through the SNS alerts topic. Source: SNS API reference, Publish (subject, 256 KiB)."""

from __future__ import annotations

from sagewatch.aws.client import build_client, sorting_errors


class SnsMail:
    """The topic that people subscribe to.

    Parameters
    ----------
    topic_arn
        The topic.
    """

    def __init__(self, topic_arn: str) -> None:
        self._topic_arn = topic_arn
        self._client = build_client("sns")

    def publish_mail(self, subject: str, body: str) -> str:
        """Send to all subscribers; the message's id."""
        with sorting_errors():
            answer = self._client.publish(TopicArn=self._topic_arn, Subject=subject, Message=body)
        return str(answer["MessageId"])
