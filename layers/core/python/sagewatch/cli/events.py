"""``sagewatch events``, ``trigger``: what happened, looked at, and sent again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.event_sources import from_option, read_source, read_words, to_option
from sagewatch.cli.store import Store, open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from sagewatch.replay.recording import Event
    from sagewatch.replay.rules import Rule
    from sagewatch.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
QUEUES = {
    "ingest_capture": "CaptureQueueUrl",
    "ingest_report": "ReportQueueUrl",
    "manage_incident": "IncidentQueueUrl",
    "advance_diagnosis": "DiagnosisQueueUrl",
    "deliver_alert": "AlertQueueUrl",
    "tick": "TickQueueUrl",
}
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
live_option = click.option(
    "--live", is_flag=True, help="Send it. Without this only what would be sent is told."
)


@click.group()
def events() -> None:
    """Recorded and archived events: list them, look at one, send one again."""


@events.command("list", epilog='Example: sagewatch events list demo-out/events.jsonl --type "Finding Raised"')
@click.argument("file", type=_FILE, required=False)
@from_option
@to_option
@click.option("--type", "kind", help='Only of this detail type, such as "Finding Raised".')
@click.option("--about", help="Only those that mention this: an endpoint, a key, an incident.")
@stack_option
@as_json_option
def list_(
    file: Path | None,
    start: str | None,
    end: str,
    kind: str | None,
    about: str | None,
    stack: str,
    *,
    as_json: bool,
) -> None:
    """The events of a recording, or of the stack's archives (--from), by time, numbered from 1.

    An archive is read by replaying it to a queue of our own: no function wakes, and rule and queue are gone after.
    With --json an event is a line; of an archive the last line says how many there are, and complete_until, for later
    events may still come.
    """
    source = read_source(file, start, end, stack)
    found = [
        (number, event)
        for number, event in enumerate(source.events, 1)
        if kind in (None, event["detail-type"]) and (not about or about in json.dumps(event))
    ]
    for number, event in found:
        say(json.dumps({"number": number, **event}) if as_json else _tell(number, event))
    if as_json and source.complete_until is not None:
        click.echo(json.dumps({"events": len(found), "complete_until": source.complete_until.isoformat()}))
    if not found and not as_json:
        others = f" that fits; {len(source.events):,} without these filters" if source.events else ""
        say(f"No event{others}.")


@events.command("show", epilog="Example: sagewatch events show demo-out/events.jsonl 1")
@click.argument("words", nargs=-1, required=True, metavar="[FILE] NUMBER|ID")
@from_option
@to_option
@stack_option
@as_json_option
def show(words: tuple[str, ...], start: str | None, end: str, stack: str, *, as_json: bool) -> None:
    """One event whole, of a recording or of the stack's archives (--from), and which functions it wakes."""
    file, which = read_words(words)
    source = read_source(file, start, end, stack)
    event = source.find(which)
    rules = find_rules(event, source.settings)
    if as_json:
        functions = list(dict.fromkeys(rule.function for rule in rules))
        told = {"event": event, "rules": [rule.name for rule in rules], "functions": functions}
        complete = source.complete_until
        click.echo(json.dumps(told | ({"complete_until": complete.isoformat()} if complete else {})))
        return
    click.echo(json.dumps(event, indent=2))
    woken = ", ".join(f"{rule.function} (by {rule.name})" for rule in rules)
    say(f"Wakes {woken or 'nobody'}.")


@events.command("resend", epilog="Example: sagewatch events resend demo-out/events.jsonl 1")
@click.argument("words", nargs=-1, required=True, metavar="[FILE] NUMBER|ID")
@from_option
@to_option
@live_option
@stack_option
@as_json_option
def resend(
    words: tuple[str, ...], start: str | None, end: str, stack: str, *, live: bool, as_json: bool
) -> None:
    """Send one event once more to the queues that its rules name. What was done stays done once.

    The event is of a recording or of the stack's archives (--from). That of a recording gets the buckets and the
    account of the stack that it goes to.
    """
    file, which = read_words(words)
    store = open_store(stack)
    source = read_source(file, start, end, stack)
    event = source.find(which)
    if source.scene is not None:
        from sagewatch.replay.keep import move_event

        event = move_event(event, source.scene, store.world.settings, store.world.place.account)
    send(event, store, live=live, as_json=as_json)


@click.command(epilog="Example: sagewatch trigger capture --set detail.object.size=2048")
@click.argument("kind")
@click.option(
    "--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Change a value of the event."
)
@live_option
@stack_option
@as_json_option
def trigger(kind: str, assignments: tuple[str, ...], stack: str, *, live: bool, as_json: bool) -> None:
    """Send a realistic event of a KIND: capture, tensors, endpoint-in-service, job-data-quality, ..."""
    from sagewatch.replay.templates import build_template, set_value

    store = open_store(stack)
    event = build_template(kind, store.world.settings, store.world.place.account, store.now())
    for assignment in assignments:
        event = set_value(event, assignment)
    send(event, store, live=live, as_json=as_json)


def find_rules(event: Event, settings: Settings) -> list[Rule]:
    """The rules that an event fits, in a stack with these settings."""
    from sagewatch.replay.rules import build_rules, matches

    return [rule for rule in build_rules(settings) if matches(rule.pattern, event)]


def send(event: Event, store: Store, *, live: bool, as_json: bool) -> None:
    """Put an event onto the queues of the functions that its rules name, or only say which these are."""
    functions = list(dict.fromkeys(rule.function for rule in find_rules(event, store.world.settings)))
    if live and not functions:
        raise RejectedInputError(
            "fits no rule of this stack, so nothing was sent; look at its source, detail-type and bucket",
            where=f"event {event.get('id', '')} ({event['detail-type']})",
        )
    if live:
        import boto3

        sqs = boto3.session.Session().client("sqs")
        for function in functions:
            sqs.send_message(QueueUrl=store.outputs[QUEUES[function]], MessageBody=json.dumps(event))
    if as_json:
        click.echo(json.dumps({"event": event, "functions": functions, "sent": live}))
        return
    click.echo(json.dumps(event, indent=2))
    told = ", ".join(functions) or "nobody"
    say(f"Sent to {told}." if live else f"Would be sent to {told}; --live sends it.")


def _tell(number: int, event: Event) -> str:
    from sagewatch.replay.recording import find_object

    detail = event["detail"]
    about = next(
        (
            str(value)
            for value in (
                detail.get("incident_id"),
                detail.get("finding_id"),
                find_object(event)[1],
                detail.get("EndpointName"),
                detail.get("ProcessingJobName"),
            )
            if value
        ),
        "",
    )
    status = detail.get("EndpointStatus") or detail.get("ProcessingJobStatus") or ""
    return f"{number:5}  {event.get('time') or ''!s:<28}  {event['detail-type']}  {about} {status}".rstrip()
