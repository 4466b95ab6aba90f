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
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    kept = patient.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    count = sum(int(kept[name]) for name in names)
    queue = output.removesuffix("DeadLettersUrl").lower()
    fix = (
        f"`sagewatch dead-letters list {queue}` says why, or the function's log does (alert_refused, record_rejected, "
        f"record_retried); mend the cause, then `sagewatch dead-letters redrive {queue}`."
    )
    yield Line(count == 0, output.removesuffix("Url"), f"{count} messages given up", fix)


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
