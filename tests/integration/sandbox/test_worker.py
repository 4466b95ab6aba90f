"""The Lambda runtime deletes what was handled, keeps what was not, and survives what a handler does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagewatch.sandbox.local_aws import LocalAws


@pytest.fixture
def send(aws: LocalAws) -> Callable[..., None]:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="work")["QueueUrl"]

    def send_all(*bodies: str) -> None:
        entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)

    return send_all


@pytest.fixture
def dead(aws: LocalAws) -> Callable[[], list[str]]:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="dead")["QueueUrl"]

    def read() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]

    return read


def test_a_message_is_handled_with_the_deployed_environment_and_deleted(
    send: Callable[..., None],
    seen: Callable[[], list[dict[str, Any]]],
    aws: LocalAws,
    eventually: Callable[..., Any],
) -> None:
    send("hello")
    (found,) = eventually(seen)
    assert (found["body"], found["table"], found["count"]) == ("hello", "state", "1")
    assert 0 < found["left"] <= 1000
    assert aws.worker.wait_until_idle(10)


def test_messages_come_in_batches_of_the_mappings_size(
    send: Callable[..., None], seen: Callable[[], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    send(*(f"m{number}" for number in range(10)))
    found = eventually(lambda: s if len(s := seen()) == 10 else None)
    assert {item["body"] for item in found} == {f"m{number}" for number in range(10)}
    assert max(item["batch"] for item in found) == 5


def test_only_the_failed_message_of_a_batch_comes_back_and_then_dies(
    send: Callable[..., None],
    seen: Callable[[], list[dict[str, Any]]],
    dead: Callable[[], list[str]],
    eventually: Callable[..., Any],
) -> None:
    send("good", "fail", "good too")
    assert eventually(dead) == ["fail"]
    assert sorted(item["body"] for item in seen()) == ["good", "good too"]


@pytest.mark.parametrize("body", ["raise", "die", "hang"])
def test_a_batch_whose_invocation_fails_is_kept_and_ends_as_a_dead_letter(
    send: Callable[..., None],
    seen: Callable[[], list[dict[str, Any]]],
    dead: Callable[[], list[str]],
    aws: LocalAws,
    eventually: Callable[..., Any],
    body: str,
) -> None:
    restarts = aws.worker.function("small").restarts
    send(body)
    assert eventually(dead, 40) == [body]
    send("alive")
    assert [item["body"] for item in eventually(seen)] == ["alive"]
    assert (aws.worker.function("small").restarts > restarts) is (body != "raise")


def test_a_function_that_calls_out_is_stopped_and_recorded(
    send: Callable[..., None], dead: Callable[[], list[str]], aws: LocalAws, eventually: Callable[..., Any]
) -> None:
    before = len(aws.outbound_attempts())
    send("call out")
    assert eventually(dead) == ["call out"]
    attempts = [json.loads(line)["host"] for line in aws.outbound_attempts()[before:]]
    assert attempts == ["192.0.2.1"] * 2


def test_metrics_that_a_function_prints_are_in_cloudwatch(
    send: Callable[..., None], aws: LocalAws, eventually: Callable[..., Any]
) -> None:
    send("counted")
    metrics = eventually(lambda: aws.client("cloudwatch").list_metrics(Namespace="Test")["Metrics"])
    assert metrics[0]["MetricName"] == "Batches"
    assert metrics[0]["Dimensions"] == [{"Name": "service", "Value": "small"}]


def test_a_schedule_sends_its_input_with_the_time_filled_in(
    seen: Callable[[], list[dict[str, Any]]], aws: LocalAws, eventually: Callable[..., Any]
) -> None:
    aws.worker.fire("every-minute")
    (found,) = eventually(seen)
    assert found["body"].startswith("tick 20")
    assert found["body"].endswith("Z")


def test_a_function_can_be_invoked_by_hand(aws: LocalAws) -> None:
    outcome = aws.worker.invoke("small", {"Records": []})
    assert outcome.value == {"batchItemFailures": []}  # type: ignore[union-attr]
