"""The redrive of a dead-letter queue, which moto has not: all that is to be seen is moved at once.

As in AWS the source must be some queue's dead-letter queue, and what arrives is a new message that was never received.
Where no destination is named the task fails, as it does in AWS for letters that were put beside their queue.
Source: SQS API reference, StartMessageMoveTask and ListMessageMoveTasks.
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import unix_time_millis
from moto.moto_api._internal import mock_random
from moto.sqs.exceptions import QueueDoesNotExist, SQSException
from moto.sqs.models import Queue
from moto.sqs.responses import SQSResponse

_KEPT = 10  # AWS lists at most so many


def fill() -> None:
    """Give SQS the two operations."""
    SQSResponse.start_message_move_task = _start
    SQSResponse.list_message_move_tasks = _list


def _start(self: Any) -> ActionResult:
    source = _find(self, self._get_param("SourceArn"))
    if not any(one.dead_letter_queue is source for one in self.sqs_backend.queues.values()):
        raise SQSException(
            "AWS.SimpleQueueService.UnsupportedOperation",
            "Source queue must be configured as a Dead Letter Queue.",
        )
    arn = self._get_param("DestinationArn")
    task = {
        "TaskHandle": str(mock_random.uuid4()), "SourceArn": source.queue_arn, "StartedTimestamp": int(unix_time_millis()),
        "Status": "COMPLETED" if arn else "FAILED", "ApproximateNumberOfMessagesToMove": len(source.messages), "ApproximateNumberOfMessagesMoved": 0,
    }  # fmt: skip
    if arn:
        task |= {"DestinationArn": arn, "ApproximateNumberOfMessagesMoved": _move(source, _find(self, arn))}
    else:
        task["FailureReason"] = "CouldNotDetermineMessageSource"
    source.move_tasks = [task, *_list_tasks(source)][:_KEPT]
    return ActionResult({"TaskHandle": task["TaskHandle"]})


def _list(self: Any) -> ActionResult:
    tasks = _list_tasks(_find(self, self._get_param("SourceArn")))
    return ActionResult({"Results": tasks[: int(self._get_param("MaxResults") or 1)]})


def _list_tasks(queue: Any) -> list[dict[str, Any]]:
    return list(getattr(queue, "move_tasks", []))


def _find(self: Any, arn: str) -> Any:
    found = next((one for one in self.sqs_backend.queues.values() if one.queue_arn == arn), None)
    if found is None:
        raise QueueDoesNotExist
    return found


def _move(source: Queue, destination: Queue) -> int:
    with source._messages_lock:  # noqa: SLF001
        moved = [one for one in source._messages if one.visible]  # noqa: SLF001
        source._messages = [one for one in source._messages if not one.visible]  # noqa: SLF001
        source.pending_messages.difference_update(moved)
    for message in moved:
        message.id = str(mock_random.uuid4())
        message.approximate_receive_count = 0
        message.approximate_first_receive_timestamp = None
        message.mark_sent()
        destination.add_message(message)
    return len(moved)
