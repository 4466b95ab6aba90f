"""``sagewatch tail``: what happens, while it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta

import click
import msgspec

from sagewatch.cli.store import Store, open_store, replay_option, stack_option
from sagewatch.cli.terminal import say
from sagewatch.incident.amounts import format_time
from sagewatch.incident.model import Entry
from sagewatch.state.incidents import Listed


@click.command(epilog="Example: sagewatch tail --since 1h --once")
@stack_option
@replay_option
@click.option("--since", default="15m", show_default=True, help="Begin so long ago: 15m, 2h.")
@click.option(
    "--every", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Show what there is and leave.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(stack: str, replay_name: str, since: str, every: float, *, once: bool, as_json: bool) -> None:
    """Show every event of every incident as it comes; Ctrl-C ends it."""
    from sagewatch.section import read_duration

    store = open_store(stack, replay_name)
    try:
        back = read_duration(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    seen: set[tuple[str, bytes]] = set()
    while True:
        for listed, entry in look(store, back):
            mark = (listed.incident_id, msgspec.json.encode(entry))
            if mark not in seen:
                seen.add(mark)
                say(_tell(listed, entry, as_json=as_json))
        if once:
            return
        time.sleep(every)


def look(store: Store, back: timedelta) -> Iterator[tuple[Listed, Entry]]:
    """Events since so long ago, in order of time, of every incident that was not over then."""
    since = store.now() - back
    found = [
        (entry.at, listed.incident_id, listed, entry)
        for listed in store.state.list_incidents()
        if listed.resolved_at is None or listed.resolved_at >= since - timedelta(hours=1)
        for entry in store.state.load_entries(listed.incident_id)
        if entry.at >= since
    ]
    for _, _, listed, entry in sorted(found, key=lambda row: row[:2]):
        yield listed, entry


def _tell(listed: Listed, entry: Entry, *, as_json: bool) -> str:
    if as_json:
        row = {"incident_id": listed.incident_id, **msgspec.to_builtins(entry)}
        return json.dumps(row)
    about = f"{listed.endpoint} {listed.kind} {listed.subject}".rstrip()
    told = (
        f" {entry.data['kind']} to {entry.data['receiver']}"
        if "receiver" in entry.data and "kind" in entry.data
        else ""
    )
    return f"{format_time(entry.at)}  {about}: {entry.what} ({entry.reason}){told} by {entry.by}"
