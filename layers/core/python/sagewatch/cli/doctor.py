"""``sagewatch doctor``: whether a deployed stack can do its work; each failing line comes with its fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sagewatch.cli.store import read_outputs, stack_option
from sagewatch.errors import SagewatchError

if TYPE_CHECKING:
    from sagewatch.monitors import Monitors

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MOST_SKEW = timedelta(seconds=60)
SILENT_AFTER = timedelta(hours=2)


class Line(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes
    ----------
    fix
        What to do about it; empty where it is well.
    """

    well: bool
    what: str
    found: str
    fix: str = ""


class NotWellError(SagewatchError):
    """Something about the stack is not as it must be."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} of the lines above need something done.")
        self.count = count


class Patient(msgspec.Struct, frozen=True):
    """What is examined: clients by service, the stack's outputs, its name, what it watches, and the time."""

    client: Callable[[str], Any]
    outputs: dict[str, str]
    stack: str
    monitors: Any
    now: datetime


@click.command(epilog="Example: sagewatch doctor --monitors monitors.yml")
@click.option("--monitors", type=_FILE, help="Look at the endpoints that this file watches, too.")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def doctor(monitors: Path | None, stack: str, *, as_json: bool) -> None:
    """Look at rules, queues, subscriptions, schedule, captures and clock of a stack. Exit code 1: not all is well."""
    import boto3

    from sagewatch.monitors import parse_monitors
    from sagewatch.wiring import read_clock

    session = boto3.session.Session()
    watched = parse_monitors(monitors.read_text(encoding="utf-8"), str(monitors)) if monitors else None
    patient = Patient(session.client, read_outputs(stack), stack, watched, read_clock())
    lines = list(examine(patient))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(lines), indent=2))
    else:
        for line in lines:
            click.echo(f"{'ok  ' if line.well else 'FAIL'}  {line.what}: {line.found}")
            if not line.well:
                click.echo(f"      {line.fix}")
    ill = sum(not line.well for line in lines)
    if ill:
        raise NotWellError(ill)


def examine(patient: Patient) -> Iterator[Line]:
    """Every line; what may not be looked at is a line of its own."""
    from botocore.exceptions import BotoCoreError, ClientError

    for check in (_check_clock, _check_rules, _check_dead_letters, _check_subscriptions, _check_schedule,
                  _check_bucket, _check_endpoints):  # fmt: skip
        try:
            yield from check(patient)
        except (ClientError, BotoCoreError) as error:
            what = check.__name__.removeprefix("_check_").replace("_", " ")
            yield Line(
                False, what, str(error), "Give whoever runs the doctor the right that the message names."
            )


def _check_clock(patient: Patient) -> Iterator[Line]:
    answer = patient.client("sts").get_caller_identity()
    yield Line(True, "identity", str(answer["Arn"]))
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if header:
        skew = abs(parsedate_to_datetime(header).astimezone(UTC) - patient.now)
        fix = "Set this machine's clock (NTP): signatures and --from depend on it."
        yield Line(skew <= MOST_SKEW, "clock", f"{skew.total_seconds():.0f} s from AWS's", fix)


def _check_rules(patient: Patient) -> Iterator[Line]:
    from sagewatch.cli.archives import ARCHIVE_OF

    events = patient.client("events")
    names = _list_resources(patient, "AWS::Events::Rule")
    for logical, physical in sorted(names.items()):
        bus = patient.outputs["EventBus"] if ARCHIVE_OF.get(logical) == "FactArchive" else "default"
        name = physical.rpartition("|")[2].rpartition("/")[2]
        state = events.describe_rule(Name=name, EventBusName=bus)["State"]
        targets = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        well = state == "ENABLED" and bool(targets)
        found = f"{state.lower()}, {len(targets)} targets"
        yield Line(
            well, f"rule {logical}", found, f"aws events enable-rule --name {name} --event-bus-name {bus}"
        )


def _check_dead_letters(patient: Patient) -> Iterator[Line]:
    sqs = patient.client("sqs")
    name = "ApproximateNumberOfMessages"
    for output, url in sorted(patient.outputs.items()):
        if output.endswith("DeadLettersUrl"):
            count = int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
            fix = "Read the function's log for record_rejected, mend the cause, then start a DLQ redrive."
            yield Line(count == 0, output.removesuffix("Url"), f"{count} messages given up", fix)


def _check_subscriptions(patient: Patient) -> Iterator[Line]:
    sns = patient.client("sns")
    for output in ("AlertsTopicArn", "OperationsTopicArn"):
        topic = patient.outputs.get(output)
        if topic is None:
            continue
        rows = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
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


def _check_schedule(patient: Patient) -> Iterator[Line]:
    for physical in _list_resources(patient, "AWS::Scheduler::Schedule").values():
        name = physical.rpartition("/")[2]
        state = patient.client("scheduler").get_schedule(Name=name)["State"]
        fix = f"Enable the schedule {name}: deadlines of diagnoses depend on it."
        yield Line(state == "ENABLED", f"schedule {name}", state.lower(), fix)


def _check_bucket(patient: Patient) -> Iterator[Line]:
    bucket = patient.outputs["CaptureBucket"]
    told = patient.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    well = "EventBridgeConfiguration" in told
    fix = f"Switch EventBridge notifications of the bucket {bucket} on (S3 console, Properties)."
    yield Line(well, "capture bucket", f"tells EventBridge: {'yes' if well else 'no'}", fix)


def _check_endpoints(patient: Patient) -> Iterator[Line]:
    monitors: Monitors | None = patient.monitors
    sagemaker = patient.client("sagemaker")
    for name in monitors.endpoints if monitors else ():
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        yield Line(status == "InService", f"endpoint {name}", status, "Look at the endpoint's own log group.")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        capture = config.get("DataCaptureConfig", {})
        wanted = f"s3://{patient.outputs['CaptureBucket']}/{patient.outputs['CapturePrefix']}"
        found = capture.get("DestinationS3Uri", "nowhere") if capture.get("EnableCapture") else "off"
        fix = f"Give the endpoint a configuration whose DataCaptureConfig writes to {wanted}."
        yield Line(found.rstrip("/") == wanted, f"captures of {name}", found, fix)
        yield _check_last_capture(patient, name)


def _check_last_capture(patient: Patient, endpoint: str) -> Line:
    prefix = f"{patient.outputs['CapturePrefix']}/{endpoint}/"
    pages = patient.client("s3").get_paginator("list_objects_v2")
    times = [
        row["LastModified"]
        for page in pages.paginate(Bucket=patient.outputs["CaptureBucket"], Prefix=prefix)
        for row in page.get("Contents", [])
    ]
    if not times:
        return Line(
            False,
            f"last capture of {endpoint}",
            "none yet",
            "Call the endpoint, and look again in five minutes.",
        )
    age = patient.now - max(times)
    fix = "Is the endpoint still called? A capture file comes within minutes of a call."
    return Line(
        age <= SILENT_AFTER, f"last capture of {endpoint}", f"{age.total_seconds() / 60:.0f} min ago", fix
    )


def _list_resources(patient: Patient, kind: str) -> dict[str, str]:
    """Physical name by logical name."""
    pages = patient.client("cloudformation").get_paginator("list_stack_resources")
    return {
        row["LogicalResourceId"]: row["PhysicalResourceId"]
        for page in pages.paginate(StackName=patient.stack)
        for row in page["StackResourceSummaries"]
        if row["ResourceType"] == kind
    }
