"""The stack itself: its clock, queues, topics, schedule and bucket; its rules are in ``rules``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.unseen import look

MOST_SKEW = timedelta(seconds=60)


def check_clock(patient: Patient) -> Iterator[Line]:
    """Who asks, and whether this machine's clock is AWS's."""
    answer = patient.client("sts").get_caller_identity()
    yield Line(True, "identity", str(answer["Arn"]))
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if header:
        skew = abs(parsedate_to_datetime(header).astimezone(UTC) - patient.now)
        fix = "Set this machine's clock (NTP): signatures and --from depend on it."
        yield Line(skew <= MOST_SKEW, "clock", f"{skew.total_seconds():.0f} s from AWS's", fix)


def check_dead_letters(patient: Patient) -> Iterator[Line]:
    """No message was given up; a queue that is gone hides no other."""
    for output, url in sorted(patient.outputs.items()):
        if output.endswith("DeadLettersUrl"):
            yield from look(output.removesuffix("Url"), _check_letters(patient, output, url))


def _check_letters(patient: Patient, output: str, url: str) -> Iterator[Line]:
    # One that somebody has just received is given up all the same.
    counted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    names = [*counted, "QueueArn", "MessageRetentionPeriod"]
    kept = patient.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    count = sum(int(kept[name]) for name in counted)
    queue = output.removesuffix("DeadLettersUrl").lower()
    what = output.removesuffix("Url")
    fix = (
        f"`sagewatch dead-letters list {queue}` says why, or the function's log does (alert_refused, record_rejected, "
        f"record_retried, record_refused); mend the cause, then `sagewatch dead-letters redrive {queue}`."
    )
    yield Line(count == 0, what, f"{count} messages given up", fix)
    if count:
        yield from look(f"age of {what}", _check_age(patient, what, kept, queue))
        yield from look(f"redrive of {what}", _check_redrive(patient, what, kept["QueueArn"], queue))


def _check_age(patient: Patient, what: str, kept: dict[str, str], queue: str) -> Iterator[Line]:
    """SQS drops a letter so long after it was first sent, and tells nobody; half of that is late enough."""
    lasts = timedelta(seconds=int(kept["MessageRetentionPeriod"]))
    answer = patient.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": kept["QueueArn"].rpartition(":")[2]}],
        StartTime=patient.now - timedelta(minutes=30),
        EndTime=patient.now,
        Period=300,
        Statistics=["Maximum"],
    )
    ages = [timedelta(seconds=point["Maximum"]) for point in answer["Datapoints"]]
    if ages and (age := max(ages)) > lasts / 2:
        found = f"the oldest is {age.days} days old, and SQS drops each after {lasts.days}"
        yield Line(
            False, what, found, f"Redrive or read it before that: `sagewatch dead-letters list {queue}`."
        )


def _check_redrive(patient: Patient, what: str, source: str, queue: str) -> Iterator[Line]:
    """A redrive goes on after the command that asked for it; where AWS gave it up, nobody was told."""
    tasks = patient.client("sqs").list_message_move_tasks(SourceArn=source, MaxResults=1).get("Results", [])
    for task in tasks:
        if task["Status"] == "FAILED":
            moved = f"{task.get('ApproximateNumberOfMessagesMoved', 0)} of {task.get('ApproximateNumberOfMessagesToMove', '?')}"
            found = (
                f"the last redrive failed after {moved}: {task.get('FailureReason', 'AWS does not say why')}"
            )
            yield Line(False, what, found, f"Mend that, then `sagewatch dead-letters redrive {queue}`.")


def check_subscriptions(patient: Patient) -> Iterator[Line]:
    """Somebody hears the topics, and confirmed it."""
    for output in ("AlertsTopicArn", "OperationsTopicArn"):
        topic = patient.outputs.get(output)
        if topic is not None:
            yield from look(output, _check_topic(patient, output, topic))


def _check_topic(patient: Patient, output: str, topic: str) -> Iterator[Line]:
    pages = patient.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    # SNS lists one that was cancelled for a while, with a word in place of its ARN.
    rows = [row for page in pages for row in page["Subscriptions"] if row["SubscriptionArn"] != "Deleted"]
    waiting = [
        row["Endpoint"]
        for row in rows
        if row["SubscriptionArn"] in {"PendingConfirmation", "pending confirmation"}
    ]
    if waiting:
        fix = "Whoever has that address must follow the link in AWS's mail, within three days."
        yield Line(False, output, f"not confirmed: {', '.join(waiting)}", fix)
    else:
        fix = "Set the parameter alertMail or operationsMail, or subscribe by hand."
        yield Line(bool(rows), output, f"{len(rows)} subscriptions", fix)


def check_schedule(patient: Patient) -> Iterator[Line]:
    """The minute is ticked."""
    for physical in patient.list_resources("AWS::Scheduler::Schedule").values():
        name = physical.rpartition("/")[2]
        state = patient.client("scheduler").get_schedule(Name=name)["State"]
        fix = f"Enable the schedule {name}: deadlines of diagnoses depend on it."
        yield Line(state == "ENABLED", f"schedule {name}", state.lower(), fix)


def check_bucket(patient: Patient) -> Iterator[Line]:
    """The capture bucket tells EventBridge of new objects."""
    bucket = patient.outputs["CaptureBucket"]
    told = patient.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    well = "EventBridgeConfiguration" in told
    fix = f"Switch EventBridge notifications of the bucket {bucket} on (S3 console, Properties)."
    yield Line(well, "capture bucket", f"tells EventBridge: {'yes' if well else 'no'}", fix)
