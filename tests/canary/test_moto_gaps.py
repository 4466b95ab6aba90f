"""Each gap that we fill is still there. A failure here is good news: moto does it now, delete our filling."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Callable

FILLED_TYPES = (
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::Events::EventBusPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::SecretsManager::Secret",
    "AWS::Scheduler::Schedule",
)
LIST_TYPES = """
import json
import moto.cloudformation.models
from moto.cloudformation.parsing import get_model_map
print(json.dumps(sorted(get_model_map())))
"""
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def types() -> list[str]:
    """The CloudFormation types that moto knows by itself, in a process of its own."""
    run = subprocess.run([sys.executable, "-c", LIST_TYPES], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def queue(moto_client: Callable[[str], Any], name: str) -> tuple[str, str]:
    sqs = moto_client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:eu-west-1:123456789012:{name}"


def bodies(moto_client: Callable[[str], Any], url: str) -> list[Any]:
    sqs = moto_client("sqs")
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def rule(
    moto_client: Callable[[str], Any], name: str, source: str, targets: list[dict[str, Any]], **more: Any
) -> None:
    events = moto_client("events")
    pattern = {} if "ScheduleExpression" in more else {"EventPattern": json.dumps({"source": [source]})}
    events.put_rule(Name=name, **pattern, **more)
    events.put_targets(Rule=name, Targets=targets)


def put_event(moto_client: Callable[[str], Any], source: str, **more: Any) -> Any:
    entry = {"Source": source, "DetailType": "T", "Detail": '{"k": "v"}', **more}
    return moto_client("events").put_events(Entries=[entry])


def fails(call: Callable[[], Any]) -> bool:
    """Whether moto answers with an error, or with a page that is none of AWS's."""
    try:
        call()
    except (ClientError, ResponseParserError):
        return True
    return False


def test_moto_is_the_version_that_was_studied() -> None:
    assert version("moto") == "5.2.5", (
        "read every module of moto_gaps against the new moto, then change this line"
    )


@pytest.mark.parametrize("resource_type", FILLED_TYPES)
def test_cloudformation_still_skips_a_type_that_we_fill(types: list[str], resource_type: str) -> None:
    assert resource_type not in types, (
        f"moto creates {resource_type} now: drop it from cloudformation_types.py"
    )


def test_a_bus_that_a_template_refers_to_is_still_no_name(moto_client: Callable[[str], Any]) -> None:
    template = {
        "Resources": {
            "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "canary-referred"}},
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {"EventBusName": {"Ref": "Bus"}, "EventPattern": {"source": ["canary"]}},
            },
        }
    }
    stack = {"StackName": "canary-bus", "TemplateBody": json.dumps(template)}
    assert fails(lambda: moto_client("cloudformation").create_stack(**stack)), (
        "moto resolves a reference to a bus now: delete event_buses.py"
    )


def test_cloudformation_still_drops_bucket_and_table_properties(moto_client: Callable[[str], Any]) -> None:
    key = [{"AttributeName": "pk", "KeyType": "HASH"}]
    template = {
        "Resources": {
            "B": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "BucketName": "canary-dropped",
                    "NotificationConfiguration": {"EventBridgeConfiguration": {}},
                    "VersioningConfiguration": {"Status": "Enabled"},
                },
            },
            "T": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "TableName": "canary-dropped",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": key,
                    "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                },
            },
        }
    }
    moto_client("cloudformation").create_stack(StackName="dropped", TemplateBody=json.dumps(template))
    s3 = moto_client("s3")
    kept = {
        "bucket events": "EventBridgeConfiguration"
        in s3.get_bucket_notification_configuration(Bucket="canary-dropped"),
        "bucket versions": "Status" in s3.get_bucket_versioning(Bucket="canary-dropped"),
        "table ttl": "AttributeName"
        in moto_client("dynamodb").describe_time_to_live(TableName="canary-dropped")["TimeToLiveDescription"],
    }
    assert not any(kept.values()), f"moto keeps {kept} now: drop it from cloudformation_properties.py"


def test_an_update_by_change_set_still_loses_new_outputs(moto_client: Callable[[str], Any]) -> None:
    cloudformation = moto_client("cloudformation")
    template: dict[str, Any] = {
        "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "canary-o"}}}
    }
    cloudformation.create_stack(StackName="outputs", TemplateBody=json.dumps(template))
    template["Outputs"] = {"New": {"Value": "here"}}
    template["Resources"]["Q"]["Properties"]["VisibilityTimeout"] = 5
    changes = {"StackName": "outputs", "ChangeSetName": "change", "TemplateBody": json.dumps(template)}
    cloudformation.create_change_set(**changes, ChangeSetType="UPDATE")
    cloudformation.execute_change_set(StackName="outputs", ChangeSetName="change")
    outputs = cloudformation.describe_stacks(StackName="outputs")["Stacks"][0].get("Outputs", [])
    assert not outputs, "moto refreshes outputs now: drop apply_change_set from cloudformation_stacks.py"


def test_s3_events_still_have_another_shape_than_aws_s3(moto_client: Callable[[str], Any]) -> None:
    url, arn = queue(moto_client, "canary-s3")
    rule(moto_client, "canary-s3", "aws.s3", [{"Id": "1", "Arn": arn}])
    s3 = moto_client("s3")
    s3.create_bucket(Bucket="canary-events", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_notification_configuration(
        Bucket="canary-events", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket="canary-events", Key="a", Body=b"x")
    moto_client("events").disable_rule(Name="canary-s3")
    found = bodies(moto_client, url)
    assert len(found) > 1, "moto sends one event a put now: look at bucket_events.py"
    assert "eTag" in found[0]["detail"]["object"], "moto writes `etag` now: look at bucket_events.py"
    assert found[0]["detail"]["reason"] == "ObjectCreated", "moto's reason changed: look at bucket_events.py"
    assert found[0]["detail"]["object"]["sequencer"] == "617f08299329d189", (
        "sequencers rise: look at bucket_events.py"
    )


def test_a_bucket_still_keeps_silent_about_telling_eventbridge(moto_client: Callable[[str], Any]) -> None:
    s3 = moto_client("s3")
    s3.create_bucket(Bucket="canary-asked", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_notification_configuration(
        Bucket="canary-asked", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    asked = s3.get_bucket_notification_configuration(Bucket="canary-asked")
    assert "EventBridgeConfiguration" not in asked, (
        "moto answers now: drop answer_with_events from bucket_events.py"
    )


def test_a_disabled_rule_still_delivers_and_account_is_still_dropped(
    moto_client: Callable[[str], Any],
) -> None:
    url, arn = queue(moto_client, "canary-disabled")
    rule(
        moto_client,
        "canary-disabled",
        "canary.d",
        [{"Id": "1", "Arn": arn, "Input": '"x"'}],
        State="DISABLED",
    )
    put_event(moto_client, "canary.d")
    found = bodies(moto_client, url)
    assert found, "moto honours DISABLED now: look at event_rules.py"
    assert found != ["x"], "moto honours Input now: look at event_rules.py"
    assert not found[0].get("account"), "moto delivers `account` now: look at event_rules.py"


def test_a_rule_without_pattern_still_matches_every_event(moto_client: Callable[[str], Any]) -> None:
    url, arn = queue(moto_client, "canary-schedule")
    rule(moto_client, "canary-z", "", [{"Id": "1", "Arn": arn}], ScheduleExpression="rate(1 minute)")
    put_event(moto_client, "canary.z")
    moto_client("events").remove_targets(Rule="canary-z", Ids=["1"])
    assert bodies(moto_client, url), "moto's schedules no longer match events: look at event_rules.py"


def test_a_lambda_target_still_fails_the_whole_call(moto_client: Callable[[str], Any]) -> None:
    function = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    rule(moto_client, "canary-lambda", "canary.l", [{"Id": "1", "Arn": function}])
    failed = fails(lambda: put_event(moto_client, "canary.l"))
    moto_client("events").remove_targets(Rule="canary-lambda", Ids=["1"])
    assert failed, "moto isolates targets now: look at event_rules.py"


def test_an_archive_still_refuses_a_pattern_from_a_template(moto_client: Callable[[str], Any]) -> None:
    properties = {
        "ArchiveName": "canary",
        "SourceArn": "arn:aws:events:eu-west-1:123456789012:event-bus/default",
        "EventPattern": {"source": ["canary.a"]},
    }
    template = {"Resources": {"A": {"Type": "AWS::Events::Archive", "Properties": properties}}}
    body = json.dumps(template)
    failed = fails(lambda: moto_client("cloudformation").create_stack(StackName="archive", TemplateBody=body))
    assert failed, "moto takes an archive's pattern now: look at archives.py"


def test_a_replay_still_ignores_its_window(moto_client: Callable[[str], Any]) -> None:
    events = moto_client("events")
    bus = events.create_event_bus(Name="canary")["EventBusArn"]
    url, arn = queue(moto_client, "canary-replay")
    archive = events.create_archive(ArchiveName="canary-replay", EventSourceArn=bus)["ArchiveArn"]
    events.put_rule(Name="canary-replay", EventBusName="canary", EventPattern='{"source": ["canary.r"]}')
    events.put_targets(Rule="canary-replay", EventBusName="canary", Targets=[{"Id": "1", "Arn": arn}])
    put_event(moto_client, "canary.r", EventBusName="canary")
    bodies(moto_client, url)
    past = datetime.now(tz=UTC) - timedelta(days=1)  # noqa: TID251
    events.start_replay(
        ReplayName="canary",
        EventSourceArn=archive,
        EventStartTime=past,
        EventEndTime=past + MINUTE,
        Destination={"Arn": bus},
    )
    assert bodies(moto_client, url), "moto honours a replay's window now: look at archives.py"


def test_events_of_sagemaker_are_still_accepted_from_outside(moto_client: Callable[[str], Any]) -> None:
    answer = put_event(moto_client, "aws.sagemaker")
    assert answer["FailedEntryCount"] == 0, "our SageMaker can no longer announce its states by put_events"


def test_alarms_are_still_never_evaluated(moto_client: Callable[[str], Any]) -> None:
    cloudwatch = moto_client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="canary",
        Namespace="Canary",
        MetricName="m",
        Statistic="Maximum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_metric_data(Namespace="Canary", MetricData=[{"MetricName": "m", "Value": 5.0}])
    state = cloudwatch.describe_alarms(AlarmNames=["canary"])["MetricAlarms"][0]["StateValue"]
    assert state != "ALARM", "moto evaluates alarms now: the sandbox could use it"


def test_mails_that_aws_refuses_are_taken(moto_client: Callable[[str], Any]) -> None:
    sns, ses = moto_client("sns"), moto_client("sesv2")
    topic = sns.create_topic(Name="canary-mails")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="caf\u00e9", Message="x")
    ses.create_email_identity(EmailIdentity="a@example.com")
    ses.send_email(
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": ["b@example.com"]},
        Content={"Raw": {"Data": b"Subject: no sender\r\n\r\n" + b"x" * 2000}},
    )


def test_a_dead_letter_queue_still_cannot_be_redriven(moto_client: Callable[[str], Any]) -> None:
    _, arn = queue(moto_client, "canary-letters")
    for operation in ("list_message_move_tasks", "start_message_move_task"):
        assert fails(lambda name=operation: getattr(moto_client("sqs"), name)(SourceArn=arn)), (
            f"moto knows {operation} now: delete message_moves.py"
        )
