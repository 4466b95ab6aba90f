"""The alert queue as the flow writes to it: later, and given up with a reason."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import boto3
import pytest

from sagewatch.aws.sqs import SqsWakeups
from sagewatch.events import AlertDue, parse_event
from tests.aws_in_process import empty_aws

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DUE = AlertDue(incident_id="i", account="1", region="eu-west-1", endpoint="signs", variant="v", forced=True)


@pytest.fixture
def queues():
    with empty_aws():
        sqs = boto3.client("sqs")
        urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("alert", "dead")]
        yield sqs, *urls


def receive(sqs, url):
    return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])


def test_a_wake_up_comes_back_as_the_fact_that_was_sent(queues):
    sqs, alert, dead = queues
    SqsWakeups(alert, dead).wake(DUE, NOW, 0)
    (message,) = receive(sqs, alert)
    assert parse_event(json.loads(message["Body"])) == DUE


def test_a_wake_up_is_not_seen_before_its_time(queues):
    sqs, alert, dead = queues
    SqsWakeups(alert, dead).wake(DUE, NOW, 29.2)
    assert receive(sqs, alert) == []
    names = ["ApproximateNumberOfMessagesDelayed"]
    assert sqs.get_queue_attributes(QueueUrl=alert, AttributeNames=names)["Attributes"][names[0]] == "1"


@pytest.mark.parametrize(("asked", "delay"), [(29.2, 30), (37, 37), (7200, 900), (-1, 0)])
def test_a_delay_is_rounded_up_and_never_beyond_what_sqs_takes(queues, monkeypatch, asked, delay):
    _, alert, dead = queues
    wakeups, seen = SqsWakeups(alert, dead), []
    wakeups._client.meta.events.register(
        "provide-client-params.sqs.SendMessage", lambda params, **_: seen.append(params["DelaySeconds"])
    )
    wakeups.wake(DUE, NOW, asked)
    assert seen == [delay]


def test_what_is_given_up_says_why_and_can_be_sent_again(queues):
    sqs, alert, dead = queues
    SqsWakeups(alert, dead).give_up(DUE, NOW, "on-call/slack: channel_not_found")
    (message,) = receive(sqs, dead)
    assert message["MessageAttributes"]["Reason"]["StringValue"] == "on-call/slack: channel_not_found"
    assert parse_event(json.loads(message["Body"])) == DUE


@pytest.mark.parametrize("answer", ["x\x00\x1b[31m", "\ud800", "\uffff", "y" * 300_000, ""])
def test_whatever_a_receiver_answered_its_dead_letter_is_taken(queues, answer):
    sqs, alert, dead = queues
    SqsWakeups(alert, dead).give_up(DUE, NOW, answer)
    (message,) = receive(sqs, dead)
    reason = message["MessageAttributes"]["Reason"]["StringValue"]
    assert 0 < len(reason) <= 1000
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", reason)
    assert reason[:1] == (answer[:1] if answer[:1].isascii() else "\ufffd") or not answer
