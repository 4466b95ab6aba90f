"""One event source mapping: messages of a queue -> batches for a function -> what may be deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.errors import NotSupportedLocallyError
from sagewatch.sandbox.function_process import Answered, Failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """What a deployed event source mapping says."""

    queue_arn: str
    function_arn: str
    batch_size: int
    window_seconds: float
    partial_responses: bool


def parse_mapping(described: Mapping[str, Any]) -> SourceMapping:
    """Read one entry of `list_event_source_mappings`.

    Raises
    ------
    NotSupportedLocallyError
        It filters messages, which would quietly not happen here.
    """
    if described.get("FilterCriteria"):
        raise NotSupportedLocallyError("FilterCriteria", described["EventSourceArn"])
    return SourceMapping(
        queue_arn=described["EventSourceArn"],
        function_arn=described["FunctionArn"],
        batch_size=int(described.get("BatchSize", 10)),
        window_seconds=float(described.get("MaximumBatchingWindowInSeconds") or 0),
        partial_responses="ReportBatchItemFailures" in (described.get("FunctionResponseTypes") or []),
    )


def build_attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """A message attribute in the spelling of Lambda's event."""
    return {
        "stringValue": attribute.get("StringValue"),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": attribute["DataType"],
    }


def build_batch(messages: Sequence[Mapping[str, Any]], mapping: SourceMapping) -> dict[str, Any]:
    """The event that Lambda makes of received messages.

    Source: Lambda developer guide, "Using Lambda with Amazon SQS", example event.
    """
    region = mapping.queue_arn.split(":")[3]
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {
                    name: build_attribute(value)
                    for name, value in message.get("MessageAttributes", {}).items()
                },
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": mapping.queue_arn,
                "awsRegion": region,
            }
            for message in messages
        ]
    }


def kept_messages(outcome: Answered | Failed, message_ids: set[str], *, partial_responses: bool) -> set[str]:
    """The ids of the messages that stay on the queue after an invocation.

    All of them when it failed, or when its partial response is malformed; those that it names otherwise.

    Source: Lambda developer guide, "Implementing partial batch responses".
    """
    if isinstance(outcome, Failed):
        return message_ids
    if not partial_responses or not outcome.value:
        return set()
    failures = outcome.value.get("batchItemFailures") or []
    named = {failure.get("itemIdentifier") for failure in failures}
    return named if named.issubset(message_ids) else message_ids
