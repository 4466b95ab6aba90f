"""What failed for good is listed with its reason, and sent again it is done, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import pytest
from click.testing import CliRunner

from sagewatch.aws.sqs import SqsWakeups
from sagewatch.cli import cli
from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.stack import check_dead_letters
from sagewatch.cli.store import Store
from sagewatch.entry import Batch, handle
from sagewatch.errors import ConfigurationError, DeliveryError
from sagewatch.events import AlertDue
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.sandbox.moto_gaps import message_moves
from tests.aws_in_process import empty_aws
from tests.unit.flows.worlds import Pump, build_event, build_finding, build_world

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DUE = AlertDue(incident_id="i1", account="1", region="eu-west-1", endpoint="signs", variant="v", forced=True)
MONITORS = """
version: 1
endpoints:
  signs: {detectors: {class-concentration: {baseline: {learn_from: 100}}}}
receivers:
  ml-on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}}
"""


class Stack:
    """The queues of two functions with their dead letters, and commands on them."""

    def __init__(self):
        self.sqs, self.outputs = boto3.client("sqs"), {}
        for name in ("Alert", "Capture"):
            dead = self.sqs.create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
            drive = {"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 2}
            url = self.sqs.create_queue(
                QueueName=name, Attributes={"RedrivePolicy": json.dumps(drive), "VisibilityTimeout": "0"}
            )["QueueUrl"]
            self.outputs |= {f"{name}QueueUrl": url, f"{name}DeadLettersUrl": dead}
        self.wakeups = SqsWakeups(self.outputs["AlertQueueUrl"], self.outputs["AlertDeadLettersUrl"])
        self.world = build_world(MONITORS)
        object.__setattr__(self.world, "wakeups", self.wakeups)

    def arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]

    def run(self, *words):
        result = CliRunner().invoke(cli, words, obj=Store(world=self.world, outputs=self.outputs))
        if result.exception:
            raise result.exception
        return result.output

    def take(self, output):
        """What a function would be given, and then deleted."""
        found = self.sqs.receive_message(QueueUrl=self.outputs[output], MaxNumberOfMessages=10).get(
            "Messages", []
        )
        for one in found:
            self.sqs.delete_message(QueueUrl=self.outputs[output], ReceiptHandle=one["ReceiptHandle"])
        return [{"messageId": one["MessageId"], "body": one["Body"]} for one in found]


@pytest.fixture
def stack(monkeypatch):
    for name in ("start_message_move_task", "list_message_move_tasks"):
        monkeypatch.setattr(message_moves.SQSResponse, name, None, raising=False)
    message_moves.fill()
    with empty_aws():
        yield Stack()


def refuse(world):
    """Let the channel be one that Slack does not know; the way back to one that it does."""
    post = world.chat.post_message

    def answer(receiver, message):
        raise DeliveryError(receiver, "channel_not_found", recoverable=False)

    world.chat.post_message = answer

    def heal():
        world.chat.post_message = post

    return heal


def test_a_refused_alert_is_told_once_its_receiver_is_mended_and_its_letter_sent_again(stack):
    world = stack.world
    heal = refuse(world)
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert world.chat.posted == []
    assert "channel_not_found" in stack.run("dead-letters", "list", "alert")
    heal()
    assert "1 dead letters are on their way to the queue alert" in stack.run("dead-letters", "redrive")
    assert stack.run("dead-letters", "redrive") == "No dead letters.\n"
    letters = stack.take("AlertQueueUrl")
    for _ in range(2):  # SQS may give it again
        assert Batch(deliver_alert, world).run(letters) == {"batchItemFailures": []}
    assert len(world.chat.posted) == 1
    assert stack.run("dead-letters", "list") == "No dead letters.\n"


def test_a_list_says_whence_and_why_and_never_what_a_letter_carries_and_leaves_it_there(stack):
    stack.wakeups.give_up(DUE, NOW, "on-call/slack: channel_not_found")
    capture = {"source": "aws.s3", "detail-type": "Object Created", "detail": {"object": {"key": "private"}}}
    by_rule = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not authorized"}
    stack.sqs.send_message(
        QueueUrl=stack.outputs["CaptureDeadLettersUrl"],
        MessageBody=json.dumps(capture),
        MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in by_rule.items()},
    )
    rows = json.loads(stack.run("dead-letters", "list", "--json"))
    assert [(one["queue"], one["event"], one["about"], one["reason"]) for one in rows] == [
        ("alert", "Alert Due", "i1", "on-call/slack: channel_not_found"),
        ("capture", "Object Created", "", "NO_PERMISSIONS: not authorized"),
    ]
    told = stack.run("dead-letters", "list")
    assert "channel_not_found" in told
    assert "NO_PERMISSIONS" in told
    assert "private" not in told


def test_a_letter_that_was_tried_in_vain_is_listed_whatever_it_holds(stack):
    for body in ("{", "[1]", "null", '{"detail": 3}', '"[red]"'):
        stack.sqs.send_message(QueueUrl=stack.outputs["AlertQueueUrl"], MessageBody=body)
    for _ in range(3):
        stack.sqs.receive_message(QueueUrl=stack.outputs["AlertQueueUrl"], MaxNumberOfMessages=10)
    rows = json.loads(stack.run("dead-letters", "list", "alert", "--json"))
    assert ["record_retried" in row["reason"] for row in rows] == [True] * 5
    stack.run("dead-letters", "redrive", "alert")
    assert len(stack.take("AlertQueueUrl")) == 5


def test_more_letters_than_a_call_gives_are_listed_up_to_the_limit(stack):
    for number in range(25):
        stack.wakeups.give_up(DUE, NOW, f"no. {number}")
    reasons = [one["reason"] for one in json.loads(stack.run("dead-letters", "list", "alert", "--json"))]
    assert sorted(reasons) == sorted(f"no. {number}" for number in range(25))
    assert len(json.loads(stack.run("dead-letters", "list", "--limit", "12", "--json"))) == 12


def test_a_dry_run_names_the_call_with_its_destination_and_moves_nothing(stack):
    stack.wakeups.give_up(DUE, NOW, "no")
    (call,) = json.loads(stack.run("dead-letters", "redrive", "--dry-run", "--json"))
    assert call["operation"] == "StartMessageMoveTask"
    assert call["parameters"] == {
        "SourceArn": stack.arn(stack.outputs["AlertDeadLettersUrl"]),
        "DestinationArn": stack.arn(stack.outputs["AlertQueueUrl"]),
    }
    assert stack.take("AlertQueueUrl") == []
    assert len(json.loads(stack.run("dead-letters", "list", "--json"))) == 1


def test_a_redrive_that_somebody_began_is_not_begun_again(stack):
    url = stack.outputs["AlertDeadLettersUrl"]
    stack.wakeups.give_up(DUE, NOW, "no")
    stack.run("dead-letters", "redrive", "alert")
    stack.wakeups.give_up(DUE, NOW, "no")
    from moto.sqs.models import sqs_backends

    backend = sqs_backends["123456789012"]["eu-west-1"]
    backend.get_queue(url.rpartition("/")[2]).move_tasks[0]["Status"] = "RUNNING"
    told = json.loads(stack.run("dead-letters", "redrive", "alert", "--json"))
    assert told == [{"queue": "alert", "state": "under_way", "letters": 1, "failed": ""}]


def test_a_move_that_aws_gave_up_is_told_when_it_is_begun_again(stack):
    url = stack.outputs["AlertDeadLettersUrl"]
    stack.wakeups.give_up(DUE, NOW, "no")
    assert "ended early" not in stack.run("dead-letters", "redrive", "alert")
    stack.wakeups.give_up(DUE, NOW, "no")
    from moto.sqs.models import sqs_backends

    backend = sqs_backends["123456789012"]["eu-west-1"]
    task = backend.get_queue(url.rpartition("/")[2]).move_tasks[0]
    task |= {"Status": "FAILED", "FailureReason": "AccessDenied"}
    told = stack.run("dead-letters", "redrive", "alert")
    assert "1 dead letters are on their way" in told
    assert "ended early: AccessDenied" in told


def test_only_the_queue_that_is_named_is_touched_and_one_that_is_none_is_refused(stack):
    stack.wakeups.give_up(DUE, NOW, "no")
    assert json.loads(stack.run("dead-letters", "redrive", "capture", "--json"))[0]["state"] == "empty"
    assert stack.take("AlertQueueUrl") == []
    with pytest.raises(ConfigurationError, match="there are alert, capture"):
        stack.run("dead-letters", "redrive", "alerts")


def test_the_doctor_says_how_to_look_and_how_to_send_again(stack):
    stack.wakeups.give_up(DUE, NOW, "no")
    patient = Patient(boto3.client, stack.outputs, "sagewatch-dev", None, NOW)
    alert, capture = check_dead_letters(patient)
    assert (alert.well, capture.well) == (False, True)
    assert "`sagewatch dead-letters list alert`" in alert.fix
    assert "`sagewatch dead-letters redrive alert`" in alert.fix
    assert "alert_refused" in alert.fix


def test_the_sandbox_fails_a_redrive_without_a_destination_as_aws_does(stack):
    """Why the command names it: SQS does not know where a letter came from that was put there with SendMessage."""
    stack.wakeups.give_up(DUE, NOW, "no")
    source = stack.arn(stack.outputs["AlertDeadLettersUrl"])
    stack.sqs.start_message_move_task(SourceArn=source)
    (task,) = stack.sqs.list_message_move_tasks(SourceArn=source)["Results"]
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    with pytest.raises(stack.sqs.exceptions.UnsupportedOperation):
        stack.sqs.start_message_move_task(SourceArn=stack.arn(stack.outputs["AlertQueueUrl"]))
