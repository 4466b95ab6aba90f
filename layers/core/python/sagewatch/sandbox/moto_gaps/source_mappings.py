"""Event source mappings that are only kept: our worker polls the queues.

moto would run the function in docker at each send; without docker every send burns a receive, or the message is
deleted unread.
"""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaBackend
from moto.sqs.models import sqs_backends


def fill() -> None:
    """Detach every mapping from its queue as soon as it is made."""
    create = LambdaBackend.create_event_source_mapping

    def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
        mapping = create(self, spec)
        for queue in sqs_backends[self.account_id][self.region_name].queues.values():
            queue.lambda_event_source_mappings.clear()
        return mapping

    LambdaBackend.create_event_source_mapping = create_event_source_mapping
