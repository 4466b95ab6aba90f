"""``sagewatch dead-letters``: what failed for good and why, and sending it again once its cause is mended.

SQS cannot tell where a letter came from that was put beside its queue (by us with a reason, by a rule of EventBridge):
a redrive "to source" fails for it, so the queue is always named. Source: SQS developer guide, "Troubleshoot DLQ redrive".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from sagewatch.cli.aws_calls import CallLog, show_dry_run
from sagewatch.cli.incidents import as_json_option
from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import ConfigurationError

HIDDEN_SECONDS = 30  # how long letters stay hidden where listing them was interrupted
_AT_ONCE = 10
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
_TRIED = "every try failed; record_retried, record_rejected and record_refused in the function's log say why"
_END = "DeadLettersUrl"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that failed for good, without what it carries.

    Attributes
    ----------
    event, about
        Its detail-type, and the incident or endpoint that it is about; empty where it does not say.
    """

    queue: str
    message_id: str
    sent_at: datetime
    event: str
    about: str
    reason: str


class Redrive(msgspec.Struct, frozen=True):
    """What became of a queue's letters: ``started``, ``under_way`` (by somebody else) or ``empty``.

    ``failed`` says why AWS gave up the move before this one, where that left letters behind.
    """

    queue: str
    state: str
    letters: int
    failed: str = ""


@click.group("dead-letters")
def dead_letters() -> None:
    """List messages that failed for good, and send them again once the cause is mended."""


@dead_letters.command("list", epilog="Example: sagewatch dead-letters list alert")
@click.argument("queue", required=False, metavar="[QUEUE]")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many a queue."
)
@stack_option
@as_json_option
def list_(queue: str | None, limit: int, stack: str, *, as_json: bool) -> None:
    """Every dead letter with its reason, and never with what it carries; of one queue, or of all.

    They stay where they are.
    """
    import boto3

    sqs = boto3.session.Session().client("sqs")
    pairs = find_queues(open_store(stack).outputs, queue)
    letters = [one for name, (url, _) in pairs.items() for one in read_letters(name, url, sqs, limit)]
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(letters), indent=2))
        return
    for one in letters:
        say(
            f"{one.queue}  {one.sent_at:%Y-%m-%d %H:%M:%S}  {one.event or '?'}  {one.about or '-'}  {one.reason}"
        )
    if not letters:
        say("No dead letters.")


@dead_letters.command("redrive", epilog="Example: sagewatch dead-letters redrive alert --dry-run")
@click.argument("queue", required=False, metavar="[QUEUE]")
@click.option("--dry-run", is_flag=True, help="Print what would be asked of AWS, and ask nothing.")
@stack_option
@as_json_option
def redrive(queue: str | None, stack: str, *, dry_run: bool, as_json: bool) -> None:
    """Send dead letters to the queue of their function again; of one queue, or of all that have any.

    Mend the cause first: what fails again comes back. Nothing counts or is sent twice, however often this is run.
    """
    import boto3

    session = boto3.session.Session()
    log = CallLog(session, dry=dry_run)
    sqs = session.client("sqs")
    pairs = find_queues(open_store(stack).outputs, queue)
    done = [_redrive(name, *urls, sqs) for name, urls in pairs.items()]
    if dry_run:
        show_dry_run(log, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(msgspec.to_builtins(done), indent=2))
    else:
        for one in done:
            if one.state != "empty":
                words = "are on their way to" if one.state == "started" else "are being moved already to"
                say(f"{one.letters} dead letters {words} the queue {one.queue}.")
                if one.failed:
                    say(f"The last time that ended early: {one.failed}.")
        if all(one.state == "empty" for one in done):
            say("No dead letters.")


def find_queues(outputs: Mapping[str, str], wanted: str | None) -> dict[str, tuple[str, str]]:
    """By a queue's name the addresses of its dead letters and of itself.

    Raises
    ------
    ConfigurationError
        There is no such queue.
    """
    found = {
        output.removesuffix(_END).lower(): (url, outputs[f"{output.removesuffix(_END)}QueueUrl"])
        for output, url in sorted(outputs.items())
        if output.endswith(_END)
    }
    if wanted is None:
        return found
    if wanted not in found:
        raise ConfigurationError(f"is no queue; there are {', '.join(found)}", where="QUEUE", key=wanted)
    return {wanted: found[wanted]}


def read_letters(name: str, url: str, sqs: Any, limit: int) -> list[Letter]:
    """The letters of a queue, oldest first; they are visible again at once."""
    handles, letters = list[str](), list[Letter]()
    try:
        while len(letters) < limit:
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=min(_AT_ONCE, limit - len(letters)), WaitTimeSeconds=1,
                VisibilityTimeout=HIDDEN_SECONDS, MessageAttributeNames=["All"], MessageSystemAttributeNames=["SentTimestamp"],
            )  # fmt: skip
            rows = answer.get("Messages", [])
            if not rows:
                break
            handles += [row["ReceiptHandle"] for row in rows]
            letters += [_read_letter(name, row) for row in rows]
    finally:
        for entries in _batch(handles):
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return sorted(letters, key=lambda one: one.sent_at)


def _batch(handles: list[str]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(handles), _AT_ONCE):
        yield [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + _AT_ONCE])
        ]


def _read_letter(queue: str, row: Mapping[str, Any]) -> Letter:
    """What a message says of itself. EventBridge's attributes: its user guide, "Using dead-letter queues"."""
    said = {name: one.get("StringValue", "") for name, one in row.get("MessageAttributes", {}).items()}
    by_rule = ": ".join(said[name] for name in ("ERROR_CODE", "ERROR_MESSAGE") if said.get(name))
    try:
        envelope = json.loads(row["Body"])
    except json.JSONDecodeError:
        envelope = None
    envelope = envelope if isinstance(envelope, dict) else {}
    detail = envelope.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    return Letter(
        queue=queue,
        message_id=row["MessageId"],
        sent_at=datetime.fromtimestamp(int(row["Attributes"]["SentTimestamp"]) / 1000, UTC),
        event=str(envelope.get("detail-type", "")),
        about=str(detail.get("incident_id") or detail.get("endpoint") or ""),
        reason=said.get("Reason") or by_rule or _TRIED,
    )


def _redrive(name: str, dead_url: str, queue_url: str, sqs: Any) -> Redrive:
    told = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn", *_COUNTS])["Attributes"]
    source, count = told["QueueArn"], sum(int(told[one]) for one in _COUNTS)
    tasks = sqs.list_message_move_tasks(SourceArn=source, MaxResults=1).get("Results", [])
    if any(task["Status"] in {"RUNNING", "CANCELLING"} for task in tasks):
        return Redrive(name, "under_way", count)
    if not count:
        return Redrive(name, "empty", 0)
    to = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.start_message_move_task(SourceArn=source, DestinationArn=to)
    failed = next((task for task in tasks if task["Status"] == "FAILED"), None)
    return Redrive(name, "started", count, failed.get("FailureReason", "unknown") if failed else "")
