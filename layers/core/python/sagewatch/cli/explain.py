"""``sagewatch explain``: why an incident went as it did."""

from __future__ import annotations

import json

import click
import msgspec

from sagewatch.cli.incidents import load
from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.incident.why import tell_trail


@click.command(epilog="Example: sagewatch explain 20261121T203405Z-d70a35fb2065c43a")
@click.argument("incident_id", metavar="ID")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def explain(incident_id: str, stack: str, *, as_json: bool) -> None:
    """Tell every decision about an incident in words, with its reason code, and who is still owed what."""
    store = open_store(stack)
    name = load(incident_id, store).incident_id
    entries, debts = store.state.load_entries(name), store.state.load_debts(name)
    if as_json:
        rows = {"entries": msgspec.to_builtins(entries), "receivers": msgspec.to_builtins(debts)}
        click.echo(json.dumps(rows, indent=2))
        return
    for line in tell_trail(entries, debts):
        say(line)
