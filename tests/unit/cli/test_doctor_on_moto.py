"""The doctor's looks at rules, queues and dead letters, in an AWS that answers by itself: moto's, not a stub's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.rules import check_rules
from sagewatch.cli.checks.stack import check_dead_letters
from sagewatch.cli.doctor import examine
from sagewatch.sandbox.moto_gaps import message_moves
from tests.aws_in_process import empty_aws

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCOUNT, REGION, STACK = "123456789012", "eu-west-1", "sagewatch-dev"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{STACK}-*"
CHECKS = (check_rules, check_dead_letters)


def build_template():
    """A rule with its queue, both with a dead-letter queue, as resources/ has them; moto knows no policies of queues."""
    queue, letters = ({"Fn::GetAtt": [name, "Arn"]} for name in ("AlertQueue", "AlertDeadLetters"))
    rule = {"Name": f"{STACK}-alert", "EventPattern": {"source": ["sagewatch"]}, "State": "ENABLED",
            "Targets": [{"Id": "alert", "Arn": queue, "DeadLetterConfig": {"Arn": letters}}]}  # fmt: skip
    drive = {"deadLetterTargetArn": letters, "maxReceiveCount": 5}
    return {
        "AlertDeadLetters": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": 1209600}},
        "AlertQueue": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": drive}},
        "AlertRule": {"Type": "AWS::Events::Rule", "Properties": rule},
    }


class Stack:
    """What stands, and the doctor's lines on it by what they are about."""

    def __init__(self):
        self.sqs, self.events = boto3.client("sqs"), boto3.client("events")
        formation = boto3.client("cloudformation")
        formation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": build_template()}))
        found = formation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        names = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in found}
        self.queue, self.letters = names["AlertQueue"], names["AlertDeadLetters"]
        for url in (self.queue, self.letters):
            self.let_in(url)

    def find_arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]

    def let_in(self, url, rule=RULE):
        row = {
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": self.find_arn(url), "Condition": {"ArnLike": {"aws:SourceArn": rule}},
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [row]})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def examine(self):
        outputs = {"EventBus": "default", "AlertDeadLettersUrl": self.letters}
        patient = Patient(client=boto3.client, outputs=outputs, stack=STACK, monitors=None, now=NOW)
        return [(line.what, line.well, line.found) for line in examine(patient, CHECKS)]

    def measure_age(self, age):
        """What SQS reports to CloudWatch by itself, and nobody else may."""
        dimension = {"Name": "QueueName", "Value": self.find_arn(self.letters).rpartition(":")[2]}
        point = {"MetricName": "ApproximateAgeOfOldestMessage", "Value": age.total_seconds(), "Unit": "Seconds",
                 "Timestamp": NOW - timedelta(minutes=5), "Dimensions": [dimension]}  # fmt: skip
        boto3.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=[point])


@pytest.fixture
def stack(monkeypatch):
    for name in ("start_message_move_task", "list_message_move_tasks"):
        monkeypatch.setattr(message_moves.SQSResponse, name, None, raising=False)
    message_moves.fill()
    with empty_aws(REGION):
        yield Stack()


def test_what_stands_as_the_template_has_it_is_well(stack):
    assert [(what, well) for what, well, _ in stack.examine()] == [
        ("rule AlertRule", True),
        ("AlertDeadLetters", True),
    ]


def test_letters_are_counted_with_the_one_that_is_just_read_and_their_age_and_their_redrive_are_told(stack):
    for number in range(2):
        stack.sqs.send_message(QueueUrl=stack.letters, MessageBody=str(number))
    stack.sqs.receive_message(QueueUrl=stack.letters, VisibilityTimeout=60)
    stack.measure_age(timedelta(days=9))
    stack.sqs.start_message_move_task(SourceArn=stack.find_arn(stack.letters))
    found = [found for what, well, found in stack.examine() if what == "AlertDeadLetters" and not well]
    assert found == [
        "2 messages given up",
        "the oldest is 9 days old, and SQS drops each after 14",
        "the last redrive failed after 0 of 1: CouldNotDetermineMessageSource",
    ]


def forget_letters(stack):
    target = {"Id": "alert", "Arn": stack.find_arn(stack.queue)}
    stack.events.put_targets(Rule=f"{STACK}-alert", Targets=[target])


def remove_rule(stack):
    stack.events.remove_targets(Rule=f"{STACK}-alert", Ids=["alert"])
    stack.events.delete_rule(Name=f"{STACK}-alert")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda stack: stack.sqs.delete_queue(QueueUrl=stack.queue), "enabled, 1 targets; gone: "),
        (lambda stack: stack.let_in(stack.letters, "arn:aws:events:eu-west-1:1:rule/x"), "enabled, 1 targets; may not send to "),
        (forget_letters, "enabled, 1 targets; no dead-letter queue beside "),
        (lambda stack: stack.events.remove_targets(Rule=f"{STACK}-alert", Ids=["alert"]), "enabled, 0 targets"),
        (lambda stack: stack.events.disable_rule(Name=f"{STACK}-alert"), "disabled, 1 targets"),
        (remove_rule, "gone"),
    ],
)  # fmt: skip
def test_a_rule_that_was_changed_by_hand_is_not_well(change, told, stack):
    change(stack)
    ((_, well, found), *_) = stack.examine()
    assert well is False
    assert found.startswith(told)
