"""``sagewatch check``: whether a monitors.yml is right, and where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagewatch.errors import ConfigurationError
from sagewatch.monitors import parse_monitors


@click.command(epilog="Example: sagewatch check monitors.yml")
@click.argument(
    "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=Path("monitors.yml")
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def check(path: Path, *, as_json: bool) -> None:
    """Check a monitors file; errors name the file, the line and the key (exit code 2)."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is no UTF-8 text (byte {error.start})", where=str(path)) from None
    monitors = parse_monitors(text, str(path))
    names = sorted(monitors.endpoints)
    if as_json:
        click.echo(
            json.dumps({"file": str(path), "endpoints": names, "receivers": sorted(monitors.receivers)})
        )
        return
    click.echo(f"{path}: right. Watches {', '.join(names) or 'nothing yet'}.")
