"""``sagewatch swaps``: the kill switch of everything that moves an endpoint."""

from __future__ import annotations

import getpass
import json

import click

from sagewatch.cli.incidents import read_name
from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.diagnose.model import Switch


@click.command(epilog='Example: sagewatch swaps off --reason "release night"')
@click.argument("wanted", type=click.Choice(["on", "off", "show"]), default="show")
@click.option("--reason", default="", help="Why; kept with the switch.")
@click.option("--by", default=getpass.getuser, show_default="you", callback=read_name, help="Who throws it.")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def swaps(wanted: str, reason: str, by: str, stack: str, *, as_json: bool) -> None:
    """Stop all swaps, or allow them again; without a word, say how it stands.

    While it is off no diagnosis begins, and an endpoint that records goes back to its own configuration within a minute.
    """
    store = open_store(stack)
    if wanted != "show":
        store.state.save_switch(Switch(on=wanted == "on", by=by, reason=reason, at=store.now()))
    switch = store.state.load_switch()
    if as_json:
        at = switch.at.isoformat() if switch.at else None
        click.echo(json.dumps({"on": switch.on, "by": switch.by, "reason": switch.reason, "at": at}))
        return
    since = f", by {switch.by or 'nobody'} at {switch.at:%Y-%m-%d %H:%M} UTC" if switch.at else ""
    why = f": {switch.reason}" if switch.reason else ""
    say(f"Swaps are {'on' if switch.on else 'off'}{since}{why}.")
