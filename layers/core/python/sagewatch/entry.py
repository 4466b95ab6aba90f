"""How an SQS batch reaches a flow: each record on its own, and only the failed ones come again."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from sagewatch.errors import RefusedError, RejectedInputError, RetryError, SagewatchError, find_refusal
from sagewatch.events import Fact, Ignored, parse_event
from sagewatch.flows.follow_up import Flow, FollowUp, run_through
from sagewatch.observability import get_logger
from sagewatch.rehearsal import choose_world, makes_its_own, read_replay_name
from sagewatch.wiring import build_brisk_world, build_desk, build_world
from sagewatch.world import Desk, World

if TYPE_CHECKING:
    from types import TracebackType

    from aws_lambda_powertools.utilities.typing import LambdaContext

Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]
Service = Callable[[dict[str, Any], Desk], dict[str, Any]]


def build_handler(
    flow: Flow, reserve_seconds: float = 0.0, follow_up_seconds: float = 0.0, *, brisk: bool = False
) -> Handler:
    """The Lambda handler that gives each record's fact to a flow, and then runs what the batch owes, once.

    A record that fails, or whose follow-up fails, is reported as a batch item failure, comes again, and ends
    in the dead-letter queue: what can heal heals by then, what cannot is kept there with its reason in the log.

    Parameters
    ----------
    reserve_seconds
        What one record may take at the most: none is begun with less of the function's time left, it comes again.
    follow_up_seconds
        The same of what a record owes after it.
    brisk
        People wait for what the function does, and not for S3 (``wiring.build_brisk_world``).
    """
    build = build_brisk_world if brisk else build_world

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        def has_time(seconds: float) -> bool:
            return not seconds or context.get_remaining_time_in_millis() >= seconds * 1000

        batch = Batch(
            flow,
            build(context.invoked_function_arn.split(":")[4]),
            partial(has_time, reserve_seconds),
            partial(has_time, follow_up_seconds),
        )
        return batch.run(event["Records"])

    return handler


class Batch:
    """The records of one invocation.

    Parameters
    ----------
    flow
        What to do with each record's fact.
    world
        The ports, as they are for events that no replay sent.
    has_time
        Whether one more record may be begun.
    has_time_to_follow
        Whether one more follow-up may be begun.
    """

    def __init__(
        self,
        flow: Flow,
        world: World,
        has_time: Callable[[], bool] = lambda: True,
        has_time_to_follow: Callable[[], bool] = lambda: True,
    ) -> None:
        self._flow = flow
        self._world = world
        self._has_time = has_time
        self._has_time_to_follow = has_time_to_follow
        self._owed: dict[Hashable, FollowUp] = {}
        self._owing: dict[str, Hashable] = {}

    def run(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Handle them all; the answer names those that SQS must give again."""
        failed = self._process(records, self._handle_record)
        speaker = {key: id_ for id_, key in self._owing.items()}
        speakers = [record for record in records if record["messageId"] in speaker.values()]
        unpaid = {self._owing[id_] for id_ in self._process(speakers, self._run_owed)}
        failed += [id_ for id_, key in self._owing.items() if key in unpaid]
        return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in failed]}

    def _process(self, records: list[dict[str, Any]], handle: Callable[[dict[str, Any]], None]) -> list[str]:
        """Ids of the messages that failed: each is tried, whatever became of those before it."""
        failed = []
        for record in records:
            with _Attempt() as attempt:
                handle(record)
            if attempt.has_failed:
                failed.append(str(record["messageId"]))
        return failed

    def _handle_record(self, record: dict[str, Any]) -> None:
        with _refusals_logged():
            if not self._has_time():
                raise RetryError("no_time_left")
            envelope = read_envelope(record["body"])
            replay = read_replay_name(envelope)
            get_logger().append_keys(correlation_id=envelope.get("id"), replay=replay)
            fact = _parse(envelope)
            follow_up = None if fact is None else self._flow(fact, choose_world(self._world, envelope))
        if follow_up is not None:
            # A rehearsal acts on rows of its own: its work is never that of the real stream.
            key = (replay, follow_up.key)
            self._owed[key] = follow_up
            self._owing[record["messageId"]] = key

    def _run_owed(self, record: dict[str, Any]) -> None:
        with _refusals_logged():
            if not self._has_time_to_follow():
                raise RetryError("no_time_left")
            self._owed[self._owing[record["messageId"]]].run()


class _Attempt:
    """A record's failure, kept from the records after it: SQS gives this one again, and in the end sets it aside."""

    has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.has_failed = True
        if not isinstance(error, SagewatchError):
            # Its text may hold anything, a secret too: what is logged is its kind and its place in our code.
            frame = traceback.extract_tb(trace)[-1]
            place = f"{frame.name}:{frame.lineno}"
            get_logger().error("record_failed", error=type(error).__name__, place=place)
        return True


def build_url_handler(service: Service) -> Handler:
    """The Lambda handler of a function with an address of its own: its answer is the HTTP answer."""

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        get_logger().append_keys(correlation_id=context.aws_request_id)
        with _refusals_logged():
            return service(event, build_desk(context.invoked_function_arn.split(":")[4]))

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
    """Parse the event and run the flow, with what it owes, unless the event is none of our business."""
    fact = _parse(envelope)
    if fact is not None:
        run_through(flow, fact, world)


def _parse(envelope: dict[str, Any]) -> Fact | None:
    fact = parse_event(envelope)
    if isinstance(fact, Ignored):
        get_logger().debug("event_ignored", reason=fact.reason, about=fact.about)
        return None
    if makes_its_own(envelope, fact):
        get_logger().info("event_ignored", reason="rehearsal_makes_its_own", about=type(fact).__name__)
        return None
    return fact


@contextmanager
def _refusals_logged() -> Iterator[None]:
    """Where a message is refused, the reason is in the log before the message goes back to its queue."""
    try:
        yield
    except RetryError as error:
        get_logger().info("record_retried", reason=error.reason)
        raise
    except RejectedInputError as error:
        get_logger().warning("record_rejected", reason=error.reason, where=error.where, key=error.key)
        raise
    except Exception as error:
        refused = find_refusal(error)
        if refused is None:
            raise
        # AWS's own words may quote what was asked for: what is logged is what was asked, and the code. Lambda prints what is
        # raised, so they are left out there too.
        get_logger().warning("record_refused", operation=refused.operation, reason=refused.code)
        raise RefusedError(refused.operation, refused.code, "AWS's own words are left out") from None
