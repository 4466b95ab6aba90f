"""``sagewatch check``: whether a monitors.yml is right, and where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagewatch.cli.checks.receivers import find_left_open
from sagewatch.cli.store import open_store
from sagewatch.cli.terminal import say
from sagewatch.monitors import read_monitors
from sagewatch.monitors.doubts import SECRET_PREFIX, list_doubts


@click.command(epilog="Example: sagewatch check monitors.yml")
@click.argument(
    "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=Path("monitors.yml")
)
@click.option(
    "--secret-prefix", default=SECRET_PREFIX, show_default=True, help="The stack's parameter secretPrefix."
)
@click.option(
    "--stack", help="Tell also what a deployed stack leaves open at receivers that the file does not name."
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def check(path: Path, secret_prefix: str, stack: str | None, *, as_json: bool) -> None:
    """Check a monitors file; errors name the file, the line and the key (exit code 2).

    What is right and may not be meant (a kind of findings that nothing here raises, a secret that no function may read,
    an endpoint that nobody watches for silence, a file by which nobody hears of anything, two receivers that are one topic
    and hear of the same, a receiver that is gone while something is open there) is told and no error; packaging refuses the secret.
    """
    monitors = read_monitors(path)
    names, doubts = sorted(monitors.endpoints), list(list_doubts(monitors, secret_prefix))
    if stack is not None:
        left = find_left_open(monitors, open_store(stack).state.items)
        doubts += [f"{line.what.capitalize()} {line.found}. {line.fix}" for line in left]
    if as_json:
        receivers = sorted(monitors.receivers)
        found = {"file": str(path), "endpoints": names, "receivers": receivers, "doubts": doubts}
        click.echo(json.dumps(found))
        return
    say(f"{path}: right. Watches {', '.join(names) or 'nothing yet'}.")
    for doubt in doubts:
        say(f"Is this meant? {doubt}")
