"""What the filled moto does as AWS does: events, archives, subscriptions, transactions, stacks."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.sandbox.deployment import create_stack
from sagewatch.sandbox.errors import StackFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sagewatch.sandbox.local_aws import LocalAws


def queue(aws: LocalAws, name: str) -> tuple[str, str]:
    """URL and ARN of a new queue."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def drain(aws: LocalAws, url: str, seconds: int = 1) -> list[Any]:
    """All bodies on a queue, as JSON."""
    sqs = aws.client("sqs")
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds).get(
        "Messages"
    ):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def test_one_put_makes_one_event_in_s3s_shape(
    aws: LocalAws, watched: Callable[[str], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    answer = aws.client("s3").put_object(Bucket="captures", Key="shape/a+b é.jsonl", Body=b"12345")
    eventually(lambda: watched("shape/"))
    time.sleep(0.3)
    (event,) = watched("shape/")
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"] == {
        "key": "shape/a+b é.jsonl",
        "size": 5,
        "etag": answer["ETag"].strip('"'),
        "version-id": answer["VersionId"],
        "sequencer": event["detail"]["object"]["sequencer"],
    }
    assert event["detail"]["reason"] == "PutObject"
    assert event["account"] == "123456789012"
    assert event["resources"] == ["arn:aws:s3:::captures"]
    assert datetime.fromisoformat(event["time"]) <= datetime.now(tz=UTC)  # noqa: TID251


def test_a_broken_or_disabled_rule_does_not_disturb_the_others(aws: LocalAws) -> None:
    events = aws.client("events")
    url, arn = queue(aws, "isolated")
    events.put_rule(Name="a-broken", EventPattern='{"source": ["isolation"]}')
    events.put_targets(
        Rule="a-broken",
        Targets=[{"Id": "1", "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:small"}],
    )
    events.put_rule(Name="b-disabled", EventPattern='{"source": ["isolation"]}', State="DISABLED")
    events.put_targets(Rule="b-disabled", Targets=[{"Id": "1", "Arn": arn, "Input": '"disabled"'}])
    events.put_rule(Name="c-scheduled", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="c-scheduled", Targets=[{"Id": "1", "Arn": arn, "Input": '"scheduled"'}])
    events.put_rule(
        Name="d-good", EventPattern='{"source": ["isolation"], "detail": {"k": [{"wildcard": "a*z"}]}}'
    )
    events.put_targets(
        Rule="d-good",
        Targets=[
            {"Id": "1", "Arn": arn},
            {"Id": "2", "Arn": arn, "Input": '{"fixed": 1}'},
            {"Id": "3", "Arn": arn, "InputPath": "$.detail"},
            {
                "Id": "4",
                "Arn": arn,
                "InputTransformer": {"InputPathsMap": {"k": "$.detail.k"}, "InputTemplate": '{"was": "<k>"}'},
            },
        ],
    )
    detail = {"k": "abcz"}
    entry = {"Source": "isolation", "DetailType": "T", "Detail": json.dumps(detail)}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    whole, *others = drain(aws, url)
    assert whole["detail"] == detail
    assert whole["account"] == "123456789012"
    assert others == [{"fixed": 1}, detail, {"was": "abcz"}]
    for name in ("a-broken", "b-disabled", "c-scheduled", "d-good"):
        events.disable_rule(Name=name)


def test_archived_events_are_replayed_to_the_named_rule_within_the_window(aws: LocalAws) -> None:
    events = aws.client("events")
    url, arn = queue(aws, "replayed")
    rules = {}
    for name in ("wanted", "other"):
        rules[name] = events.put_rule(Name=name, EventBusName="facts", EventPattern='{"source": ["small"]}')[
            "RuleArn"
        ]
        events.put_targets(Rule=name, EventBusName="facts", Targets=[{"Id": "1", "Arn": arn}])
    now = datetime.now(tz=UTC)  # noqa: TID251
    for number, moment in enumerate((now - timedelta(hours=2), now)):
        entry = {
            "Source": "small",
            "DetailType": "T",
            "Detail": json.dumps({"n": number}),
            "EventBusName": "facts",
        }
        events.put_events(Entries=[{**entry, "Time": moment}])
    first = drain(aws, url)
    assert [event["detail"]["n"] for event in first] == [0, 0, 1, 1]
    archive = next(a for a in events.list_archives()["Archives"] if a["EventSourceArn"].endswith("facts"))
    assert archive["EventCount"] == 2
    events.start_replay(
        ReplayName="again",
        EventSourceArn=events.describe_archive(ArchiveName=archive["ArchiveName"])["ArchiveArn"],
        EventStartTime=now - timedelta(hours=1),
        EventEndTime=now + timedelta(hours=1),
        Destination={"Arn": archive["EventSourceArn"], "FilterArns": [rules["wanted"]]},
    )
    (again,) = drain(aws, url)
    assert again["detail"] == {"n": 1}
    assert again["replay-name"] == "again"
    assert again["id"] not in {event["id"] for event in first}
    assert events.describe_archive(ArchiveName=archive["ArchiveName"])["EventCount"] == 2, (
        "not archived again"
    )


def test_a_topic_fans_out_to_queues_by_their_filters(aws: LocalAws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="fan")["TopicArn"]
    high, high_arn = queue(aws, "high")
    all_of_them, all_arn = queue(aws, "all")
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=high_arn,
        Attributes={"FilterPolicy": '{"severity": ["high"]}'},
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=all_arn)
    for severity in ("low", "high"):
        sns.publish(
            TopicArn=topic,
            Subject=severity,
            Message="text",
            MessageAttributes={"severity": {"DataType": "String", "StringValue": severity}},
        )
    assert [body["Subject"] for body in drain(aws, high)] == ["high"]
    assert [body["Subject"] for body in drain(aws, all_of_them)] == ["low", "high"]


def put_once(key: str) -> dict[str, Any]:
    """A marker that can be put once."""
    item = {"pk": {"S": key}, "sk": {"S": "marker"}}
    return {"Put": {"TableName": "state", "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def add_one(key: str) -> dict[str, Any]:
    """A count that is raised."""
    return {
        "Update": {
            "TableName": "state",
            "Key": {"pk": {"S": key}, "sk": {"S": "count"}},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def count_of(aws: LocalAws, key: str) -> int:
    item = (
        aws.client("dynamodb")
        .get_item(TableName="state", Key={"pk": {"S": key}, "sk": {"S": "count"}})
        .get("Item")
    )
    return int(item["n"]["N"]) if item else 0


def test_a_transaction_writes_all_or_nothing_and_names_the_reason(aws: LocalAws) -> None:
    dynamodb = aws.client("dynamodb")
    dynamodb.transact_write_items(TransactItems=[put_once("t"), add_one("t")])
    with pytest.raises(ClientError) as caught:
        dynamodb.transact_write_items(TransactItems=[add_one("t"), put_once("t")])
    reasons = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert count_of(aws, "t") == 1


def test_a_transaction_that_breaks_half_way_leaves_no_trace(aws: LocalAws) -> None:
    dynamodb = aws.client("dynamodb")
    dynamodb.put_item(
        TableName="state", Item={"pk": {"S": "text"}, "sk": {"S": "count"}, "n": {"S": "words"}}
    )
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=[add_one("broken"), add_one("text")])
    assert count_of(aws, "broken") == 0


def test_concurrent_transactions_lose_nothing_and_win_once(aws: LocalAws) -> None:
    dynamodb = aws.client("dynamodb")
    won: list[int] = []

    def race(number: int) -> None:
        for attempt in range(10):
            try:
                dynamodb.transact_write_items(TransactItems=[put_once(f"race-{attempt}"), add_one("race")])
            except dynamodb.exceptions.TransactionCanceledException:
                continue
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 10
    assert count_of(aws, "race") == 10


def test_no_message_is_lost_between_concurrent_sends_and_deletes(aws: LocalAws) -> None:
    sqs = aws.client("sqs")
    url, _ = queue(aws, "busy")
    received: list[str] = []
    done = threading.Event()

    def receive() -> None:
        while (
            not done.is_set()
            or sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
                "Attributes"
            ]["ApproximateNumberOfMessages"]
            != "0"
        ):
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
                "Messages", []
            ):
                received.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    receivers = [threading.Thread(target=receive) for _ in range(2)]
    for receiver in receivers:
        receiver.start()

    def send(start: int) -> None:
        for number in range(start, start + 40):
            sqs.send_message(QueueUrl=url, MessageBody=str(number))

    senders = [threading.Thread(target=send, args=(start,)) for start in (0, 100, 200)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    done.set()
    for receiver in receivers:
        receiver.join()
    assert len(received) == 120
    assert len(set(received)) == 120


def test_the_stack_has_what_its_template_says(aws: LocalAws) -> None:
    assert aws.deployment.outputs["BucketName"] == "captures"
    assert aws.deployment.skipped == {"BucketPolicy": "AWS::S3::BucketPolicy"}
    assert (
        aws.client("secretsmanager").get_secret_value(SecretId="small/token")["SecretString"] == "xoxb-local"
    )
    assert aws.client("ssm").get_parameter(Name="/small/x")["Parameter"]["Value"] == "1"
    assert aws.client("s3").get_bucket_versioning(Bucket="captures")["Status"] == "Enabled"
    ttl = aws.client("dynamodb").describe_time_to_live(TableName="state")["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires_at"
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=["dead"])["MetricAlarms"]
    assert alarms[0]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    subscriptions = aws.client("sns").list_subscriptions_by_topic(TopicArn=aws.deployment.outputs["TopicArn"])
    assert "on-call@example.com" in [item["Endpoint"] for item in subscriptions["Subscriptions"]]


def test_a_stack_that_fails_names_the_resource_and_the_reason(aws: LocalAws, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    topic = "arn:aws:sns:eu-west-1:123456789012:nowhere"
    odd = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.com"}
    template.write_text(
        json.dumps({"Resources": {"Odd": {"Type": "AWS::SNS::Subscription", "Properties": odd}}})
    )
    with pytest.raises(StackFailedError, match=r"failing .*Odd \(AWS::SNS::Subscription\): .*not exist"):
        create_stack(aws.client("cloudformation"), template, tmp_path, tmp_path / "code", stack="failing")


def test_metrics_can_be_put_and_read(aws: LocalAws) -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_data(
        Namespace="Own", MetricData=[{"MetricName": "m", "Value": 3.0, "Unit": "Count"}]
    )
    now = datetime.now(tz=UTC)  # noqa: TID251
    points = cloudwatch.get_metric_statistics(
        Namespace="Own",
        MetricName="m",
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 3.0
