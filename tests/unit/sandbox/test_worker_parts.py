"""Batches, metrics and schedules, without any process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from sagewatch.sandbox.embedded_metrics import parse_embedded_metrics
from sagewatch.sandbox.function_process import Answered, Failed, parse_configuration, runtime_environment
from sagewatch.sandbox.schedules import Schedule, build_input, parse_rate
from sagewatch.sandbox.source_queue import SourceMapping, build_batch, kept_messages, parse_mapping

ARN = "arn:aws:sqs:eu-west-1:123456789012:work"
MAPPING = SourceMapping(
    ARN, "arn:aws:lambda:eu-west-1:123456789012:function:f", 10, 0, partial_responses=True
)
MESSAGE = {
    "MessageId": "m1",
    "ReceiptHandle": "r1",
    "Body": "b",
    "MD5OfBody": "x",
    "Attributes": {"SentTimestamp": "1"},
}


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (Failed("ValueError", "x"), {"a", "b"}),
        (Answered(None), set()),
        (Answered({}), set()),
        (Answered({"batchItemFailures": []}), set()),
        (Answered({"batchItemFailures": None}), set()),
        (Answered({"batchItemFailures": [{"itemIdentifier": "b"}]}), {"b"}),
        (Answered({"batchItemFailures": [{"itemIdentifier": "unknown"}]}), {"a", "b"}),
        (Answered({"batchItemFailures": [{"itemIdentifier": ""}]}), {"a", "b"}),
        (Answered({"batchItemFailures": [{}]}), {"a", "b"}),
    ],
)
def test_only_what_is_named_stays_and_all_of_it_when_the_answer_is_odd(
    outcome: Answered | Failed, kept: set[str]
) -> None:
    assert kept_messages(outcome, {"a", "b"}, partial_responses=True) == kept


def test_without_report_batch_item_failures_an_answer_deletes_all() -> None:
    outcome = Answered({"batchItemFailures": [{"itemIdentifier": "a"}]})
    assert kept_messages(outcome, {"a"}, partial_responses=False) == set()


def test_a_batch_has_lambdas_spelling() -> None:
    (record,) = build_batch([MESSAGE], MAPPING)["Records"]
    assert record["eventSource"] == "aws:sqs"
    assert record["awsRegion"] == "eu-west-1"
    assert record["attributes"] == {"SentTimestamp": "1"}
    assert (record["messageId"], record["receiptHandle"], record["md5OfBody"]) == ("m1", "r1", "x")


def test_a_mapping_is_read_with_lambdas_defaults() -> None:
    mapping = parse_mapping({"EventSourceArn": ARN, "FunctionArn": "f"})
    assert (mapping.batch_size, mapping.window_seconds, mapping.partial_responses) == (10, 0.0, False)


def test_a_functions_own_variables_win_over_the_runtimes() -> None:
    function = parse_configuration(
        {
            "FunctionName": "f",
            "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
            "Handler": "a/b.handler",
            "Environment": {"Variables": {"TZ": "UTC", "OWN": "1"}},
        }
    )
    environment = runtime_environment(function, Path("/code"))
    assert (environment["TZ"], environment["OWN"], environment["AWS_REGION"]) == ("UTC", "1", "eu-west-1")


def test_a_metric_with_several_values_and_dimension_sets_is_read() -> None:
    line = json.dumps(
        {
            "_aws": {
                "Timestamp": 1_700_000_000_000,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Sagewatch",
                        "Dimensions": [["service"], ["service", "class"]],
                        "Metrics": [{"Name": "Count", "Unit": "Count"}, {"Name": "Absent"}],
                    }
                ],
            },
            "service": "s",
            "class": "14",
            "Count": [1, 2],
        }
    )
    entries = parse_embedded_metrics(line)["Sagewatch"]
    assert [len(entry["Dimensions"]) for entry in entries] == [1, 2]
    assert all(entry["Values"] == [1.0, 2.0] for entry in entries)
    assert entries[0]["Timestamp"] == datetime.fromtimestamp(1_700_000_000, tz=UTC)


@pytest.mark.parametrize(
    "line", ["plain text", '{"level": "INFO"}', '"_aws"', '{"_aws": 1}', '{"_aws": ', "[]"]
)
def test_other_lines_are_no_metrics(line: str) -> None:
    assert parse_embedded_metrics(line) == {}


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(1 minute)", 60), ("rate(12 hours)", 43200), ("rate(1 day)", 86400), ("cron(0 * ? * * *)", None)],
)
def test_a_rate_is_seconds_and_a_cron_is_fired_by_hand(expression: str, seconds: float | None) -> None:
    assert parse_rate(expression) == seconds


def test_a_schedule_without_input_sends_schedulers_default_event() -> None:
    arn = "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/tick"
    schedule = Schedule("tick", arn, ARN, 60.0, None, enabled=True)
    body = json.loads(build_input(schedule, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), UUID(int=7)))
    assert (body["source"], body["time"], body["resources"]) == (
        "aws.scheduler",
        "2026-01-02T03:04:05Z",
        [arn],
    )
