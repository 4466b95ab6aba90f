"""Queues that lose nothing when several threads use them.

moto's delete rebuilds the list of messages without holding the lock that sends hold: a message sent meanwhile is
lost. Its receive walks that list unlocked too.
"""

from __future__ import annotations

from typing import Any

from moto.core.utils import unix_time
from moto.sqs.models import Queue, SQSBackend

# How long a waiting receive sleeps before it looks again for messages whose visibility ran out (nobody tells it).
LOOK_AGAIN_SECONDS = 0.5


def fill() -> None:
    """Hold the queue's lock while it is read or rebuilt, and never while waiting."""
    delete = Queue.delete_message
    receive = SQSBackend.receive_message

    def delete_message(self: Any, receipt_handle: str) -> None:
        with self._messages_lock:
            delete(self, receipt_handle)

    def receive_message(
        self: Any,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> Any:
        queue = self.get_queue(queue_name)
        deadline = unix_time() + wait_seconds_timeout
        while True:
            with queue._messages_lock:  # noqa: SLF001
                messages = receive(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            left = deadline - unix_time()
            if messages or left <= 0:
                return messages
            queue.wait_for_messages(min(left, LOOK_AGAIN_SECONDS))

    Queue.delete_message = delete_message
    SQSBackend.receive_message = receive_message
