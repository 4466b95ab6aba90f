"""``sagewatch record``: a window of the stack's archives as a file that `sagewatch replay` plays."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.incident.amounts import format_time


@click.command(epilog="Example: sagewatch record --from 2h --out fixtures/events.jsonl")
@click.option("--from", "start", required=True, help="Since when: a time, or so long ago (2h).")
@click.option("--to", "end", default="1s", help="Until when; default: now.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option(
    "--keep-names", is_flag=True, help="Do not redact accounts, callers, people, roles and environment."
)
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def record(start: str, end: str, out: Path, stack: str, *, keep_names: bool, as_json: bool) -> None:
    """Keep the events of a window as a file for `sagewatch replay`, read from the stack's archives.

    scene.json beside it says whose buckets the events speak of. Captures are not fetched: payloads stay where they
    are until somebody syncs them into the folder `captures` beside the file. monitors.yml is taken from there, too.
    What jobs say when they end, and are called with, is left out even with --keep-names: it may quote a payload.
    """
    from sagewatch.cli.archives import read_archives
    from sagewatch.cli.when import read_window
    from sagewatch.replay.keep import build_scene, check_place, order_events, write_recording
    from sagewatch.replay.redaction import find_stand_ins, hide_texts, redact, redact_scene

    store = open_store(stack)
    since, until = read_window(start, end, store.now())
    settings = store.world.settings
    scene = build_scene(settings, store.world.place.account)
    kept = scene if keep_names else redact_scene(scene)
    check_place(out, kept)
    found = read_archives(stack, store.outputs["EventBus"], store.now(), since, until)
    stand_ins = find_stand_ins(scene, found)
    events = order_events(hide_texts(event) if keep_names else redact(event, stand_ins) for event in found)
    beside = write_recording(out, events, kept)
    captures = out.parent / kept.captures
    if as_json:
        click.echo(json.dumps({"file": str(out), "events": len(events), "scene": str(beside)}))
        return
    if not events:
        say(f"No event from {format_time(since)} to {format_time(until)}; {out} is empty.")
        return
    say(f"{len(events)} events in {out}, their scene in {beside}")
    say(f"To replay it: aws s3 sync s3://{settings.capture_bucket} {captures}; sagewatch replay {out}")
