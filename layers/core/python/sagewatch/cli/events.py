"""``sagewatch events``, ``record``, ``trigger``: what happened, kept, looked at, and sent again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagewatch.cli.store import Store, open_store, stack_option
from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from sagewatch.replay.recording import Event

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
    """Recorded events: list them, look at one, send one again."""


@events.command("list", epilog='Example: sagewatch events list demo-out/events.jsonl --type "Finding Raised"')
@click.argument("file", type=_FILE)
@click.option("--type", "kind", help='Only of this detail type, such as "Finding Raised".')
@click.option("--about", help="Only those that mention this: an endpoint, a key, an incident.")
@as_json_option
def list_(file: Path, kind: str | None, about: str | None, *, as_json: bool) -> None:
    """The events of a recording, in the order of their arrival, numbered from 1."""
    from sagewatch.replay.recording import load_events

    for number, event in enumerate(load_events([file]), 1):
        text = json.dumps(event)
        if (kind and event["detail-type"] != kind) or (about and about not in text):
            continue
        click.echo(json.dumps({"number": number, **event}) if as_json else _tell(number, event))


@events.command("show", epilog="Example: sagewatch events show demo-out/events.jsonl 1")
@click.argument("file", type=_FILE)
@click.argument("which", metavar="NUMBER|ID")
@as_json_option
def show(file: Path, which: str, *, as_json: bool) -> None:
    """One event whole, and which functions it wakes."""
    event = find_event(file, which)
    if as_json:
        click.echo(json.dumps(event))
        return
    click.echo(json.dumps(event, indent=2))


@events.command("resend", epilog="Example: sagewatch events resend demo-out/events.jsonl 1")
@click.argument("file", type=_FILE)
@click.argument("which", metavar="NUMBER|ID")
@live_option
@stack_option
@as_json_option
def resend(file: Path, which: str, stack: str, *, live: bool, as_json: bool) -> None:
    """Send one event once more to the queues that its rules name. What was done stays done once."""
    send(find_event(file, which), open_store(stack), live=live, as_json=as_json)


@click.command(epilog="Example: sagewatch record --from 2h --out fixtures/events.jsonl")
@click.option("--from", "start", required=True, help="Since when: a time, or so long ago (2h).")
@click.option("--to", "end", default="1s", help="Until when; default: now.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option("--keep-names", is_flag=True, help="Do not redact account, callers, roles and environment.")
@stack_option
@as_json_option
def record(start: str, end: str, out: Path, stack: str, *, keep_names: bool, as_json: bool) -> None:
    """Keep the events of a window as a file for `sagewatch replay`, read from the stack's archives."""
    from sagewatch.cli.archives import ARCHIVES, Archives
    from sagewatch.cli.when import read_time
    from sagewatch.replay.redaction import redact

    store = open_store(stack)
    now = store.now()
    since, until = read_time(start, now, "--from"), read_time(end, now, "--to")
    archives = Archives(stack, store.outputs["EventBus"])
    found: list[Event] = []
    for archive in ARCHIVES:
        name = f"record.{now:%Y%m%dT%H%M%S}.{archive.lower()}"
        found += archives.read(archive, name, since, until)
    kept = [_forget_replay(event if keep_names else redact(event)) for event in found]
    kept.sort(key=lambda event: (str(event.get("time")), json.dumps(event, sort_keys=True)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(event) + "\n" for event in kept), encoding="utf-8")
    click.echo(
        json.dumps({"file": str(out), "events": len(kept)}) if as_json else f"{len(kept)} events in {out}"
    )


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


def find_event(file: Path, which: str) -> Event:
    """An event of a recording, by its number or its id.

    Raises
    ------
    RejectedInputError
        There is none.
    """
    from sagewatch.replay.recording import load_events

    for number, event in enumerate(load_events([file]), 1):
        if which in {str(number), event.get("id")}:
            return event
    raise RejectedInputError("holds no such event", where=str(file), key=which)


def send(event: Event, store: Store, *, live: bool, as_json: bool) -> None:
    """Put an event onto the queues of the functions that its rules name, or only say which these are."""
    from sagewatch.replay.rules import build_rules, matches

    rules = build_rules(store.world.settings)
    functions = list(dict.fromkeys(rule.function for rule in rules if matches(rule.pattern, event)))
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
    click.echo(f"Sent to {told}." if live else f"Would be sent to {told}; --live sends it.")


def _forget_replay(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "replay-name"}


def _tell(number: int, event: Event) -> str:
    detail = event.get("detail", {})
    about = next(
        (
            str(value)
            for value in (
                detail.get("incident_id"),
                detail.get("finding_id"),
                detail.get("object", {}).get("key"),
                detail.get("EndpointName"),
                detail.get("ProcessingJobName"),
            )
            if value
        ),
        "",
    )
    status = detail.get("EndpointStatus") or detail.get("ProcessingJobStatus") or ""
    return f"{number:5}  {event.get('time', ''):<28}  {event['detail-type']}  {about} {status}".rstrip()
