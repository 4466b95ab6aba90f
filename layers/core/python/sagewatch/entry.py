"""How an SQS batch reaches a flow: each record on its own, and only the failed ones come again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from sagewatch.errors import RejectedInputError, RetryError
from sagewatch.events import Fact, Ignored, parse_event
from sagewatch.observability import get_logger
from sagewatch.rehearsal import choose_world, read_replay_name
from sagewatch.wiring import build_world
from sagewatch.world import World

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

Flow = Callable[[Fact, World], None]
Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]


def build_handler(flow: Flow) -> Handler:
    """The Lambda handler that gives each record's fact to a flow.

    A record that fails is reported as a batch item failure, comes again, and ends in the dead-letter
    queue: what can heal heals by then, what cannot is kept there with its reason in the log.
    """
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        logger = get_logger()
        world = build_world(context.invoked_function_arn.split(":")[4])

        def handle_record(record: SQSRecord) -> None:
            envelope = read_envelope(record.body)
            logger.append_keys(correlation_id=envelope.get("id"), replay=read_replay_name(envelope))
            try:
                handle(flow, envelope, choose_world(world, envelope))
            except RetryError as error:
                logger.info("record_retried", reason=error.reason)
                raise
            except RejectedInputError as error:
                logger.warning("record_rejected", reason=error.reason, where=error.where, key=error.key)
                raise

        answer = process_partial_response(event, handle_record, processor, context)
        return dict(answer)

    return handler


def read_envelope(body: str) -> dict[str, Any]:
    """The event inside a queue's message.

    Raises
    ------
    RejectedInputError
        The message is no JSON object.
    """
    try:
        envelope = json.loads(body)
    except json.JSONDecodeError as error:
        raise RejectedInputError(f"is no JSON: {error.msg}", where="message", line=error.lineno) from None
    if not isinstance(envelope, dict):
        raise RejectedInputError("is no JSON object", where="message")
    return envelope


def handle(flow: Flow, envelope: dict[str, Any], world: World) -> None:
    """Parse the event and run the flow, unless the event is none of our business."""
    fact = parse_event(envelope)
    if isinstance(fact, Ignored):
        get_logger().debug("event_ignored", reason=fact.reason, about=fact.about)
        return
    flow(fact, world)
