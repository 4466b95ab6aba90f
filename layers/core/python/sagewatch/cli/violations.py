"""``sagewatch violations``: the second notebook's table over all features of a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.terminal import cell, say
from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from sagewatch.quality.violation_table import ViolationRow

_COLUMNS = ("inferred_type", "completeness", "baseline_drift", "categorical_values")


@click.command(epilog="Example: sagewatch violations report --html violations.html")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one self-contained page."
)
@click.option("--all", "show_all", is_flag=True, help="Also features without violations, in the terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def violations(folder: Path, html: Path | None, *, show_all: bool, as_json: bool) -> None:
    """Show which constraint failed, what was expected and what was seen, feature by feature.

    FOLDER holds constraint_violations.json and statistics.json of a monitoring job, AWS's or ours. Exit code 0 with
    or without violations.
    """
    import msgspec

    from sagewatch.cli.terminal import make_console
    from sagewatch.quality.page import render_page, render_violations
    from sagewatch.quality.statistics import Statistics, parse_statistics
    from sagewatch.quality.violation_table import build_violation_table
    from sagewatch.quality.violations import parse_violations

    path = find_violations_file(folder)
    statistics_path = folder / "statistics.json"
    statistics = Statistics()
    if statistics_path.exists():
        statistics = parse_statistics(statistics_path.read_bytes(), str(statistics_path))
    found = parse_violations(path.read_bytes(), str(path)).violations if path else []
    rows = build_violation_table(statistics, found)
    if html is not None:
        html.write_text(render_page("Violations", render_violations(rows)), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(rows)))
        return
    shown = [row for row in rows if row.findings or show_all]
    if shown:
        make_console().print(_build_table(shown))
    if not rows and statistics_path.exists():
        say("The statistics name no feature: they are those of a model-quality monitor, or of no rows.")
    say(f"{len(found)} violations of {sum(bool(row.findings) for row in rows)} subjects, {len(rows)} in all.")
    if html is not None:
        say(f"Written: {html}")


def find_violations_file(folder: Path) -> Path | None:
    """The report's violations, under AWS's name or that of its documentation; None where there were none.

    Raises
    ------
    ConfigurationError
        When the folder holds no report at all.
    """
    from sagewatch.quality.violations import FILE_NAMES

    for name in FILE_NAMES:
        if (folder / name).exists():
            return folder / name
    if not (folder / "statistics.json").exists():
        raise ConfigurationError("no report here: neither violations nor statistics", where=str(folder))
    return None


def _build_table(rows: list[ViolationRow]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("feature", *_COLUMNS, "check", "expected", "seen"):
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        marks = {name: "black on orange1" if name in row.failed else "" for name in _COLUMNS}
        cells = [cell(row.feature), *(cell(getattr(row, name), mark) for name, mark in marks.items())]
        style = "on #4a3f16" if row.findings else None
        # A line a violation, so that what was wanted stands by what was seen.
        for at, each in enumerate(row.findings or (None,)):
            words = [""] * 3 if each is None else [each.check, each.expected, each.seen]
            table.add_row(*(cells if not at else [""] * len(cells)), *map(cell, words), style=style)
    return table
