"""``sagewatch check``: whether a monitors.yml is right, and where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagewatch.cli.terminal import say
from sagewatch.monitors import read_monitors


@click.command(epilog="Example: sagewatch check monitors.yml")
@click.argument(
    "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=Path("monitors.yml")
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def check(path: Path, *, as_json: bool) -> None:
    """Check a monitors file; errors name the file, the line and the key (exit code 2)."""
    monitors = read_monitors(path)
    names = sorted(monitors.endpoints)
    if as_json:
        click.echo(
            json.dumps({"file": str(path), "endpoints": names, "receivers": sorted(monitors.receivers)})
        )
        return
    say(f"{path}: right. Watches {', '.join(names) or 'nothing yet'}.")
