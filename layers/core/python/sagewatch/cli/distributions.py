"""``sagewatch distributions``: the second notebook's pictures of every feature, beside its baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.terminal import cell, say
from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from sagewatch.quality.bars import Bar
    from sagewatch.quality.statistics import Statistics

_BLOCKS = " ▁▂▃▄▅▆▇█"


@click.command(epilog="Example: sagewatch distributions report --baseline baseline --html distributions.html")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the baseline's statistics.json.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one self-contained page."
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def distributions(folder: Path, baseline: Path | None, html: Path | None, *, as_json: bool) -> None:
    """Show every feature's distribution and statistics, beside its baseline's.

    FOLDER holds a statistics.json, AWS's or ours.
    """
    from sagewatch.cli.terminal import make_console
    from sagewatch.quality.page import render_distributions, render_page

    current = read_statistics(folder)
    expected = read_statistics(baseline) if baseline is not None else None
    if html is not None:
        page = render_page("Distributions", render_distributions(current, expected))
        html.write_text(page, encoding="utf-8")
    if as_json:
        click.echo(json.dumps(_summarise(current, expected)))
        return
    if current.features:
        make_console().print(_build_table(current, expected))
    else:
        say("The statistics name no feature: they are those of a model-quality monitor, or of no rows.")
    if html is not None:
        say(f"Written: {html}")


def read_statistics(folder: Path) -> Statistics:
    """The statistics in a folder.

    Raises
    ------
    ConfigurationError
        When there are none.
    RejectedInputError
        When the file is none.
    """
    from sagewatch.quality.statistics import parse_statistics

    path = folder / "statistics.json"
    if not path.exists():
        raise ConfigurationError("no statistics.json is here", where=str(folder))
    return parse_statistics(path.read_bytes(), str(path))


def draw_line(shares: list[float | None]) -> str:
    """Shares as a line of blocks, the tallest one full; empty for a side that is not there.

    Examples
    --------
    >>> draw_line([0.0, 0.25, 0.5])
    ' ▄█'
    """
    known = [share or 0.0 for share in shares]
    if all(share is None for share in shares):
        return ""
    tallest = max(known) or 1.0
    return "".join(_BLOCKS[round(share / tallest * (len(_BLOCKS) - 1))] for share in known)


def _build_table(current: Statistics, baseline: Statistics | None) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from sagewatch.quality.bars import build_bars
    from sagewatch.quality.page import summarise
    from sagewatch.quality.statistics import STRING

    heads = ("present", "missing", "mean", "std dev", "min", "max", "distinct")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("feature", overflow="fold")
    for name in ("side", "type", *heads):
        table.add_column(name, overflow="fold", justify="left" if name in {"side", "type"} else "right")
    table.add_column("distribution", no_wrap=True)
    known = {feature.name: feature for feature in baseline.features} if baseline is not None else {}
    for feature in current.features:
        other = known.get(feature.name)
        bars: list[Bar] = build_bars(feature, other)
        for side, each, shares in (
            ("collected", feature, [bar.current for bar in bars]),
            ("baseline", other, [bar.baseline for bar in bars]),
        ):
            if each is None:
                continue
            strings = each.inferred_type == STRING
            words = summarise(each, strings=strings)
            numbers = [*words[:2], "", "", "", "", words[2]] if strings else words
            table.add_row(cell(each.name), side, each.inferred_type, *map(cell, numbers), draw_line(shares))
    return table


def _summarise(current: Statistics, baseline: Statistics | None) -> list[dict[str, object]]:
    from sagewatch.quality.bars import build_bars

    known = {feature.name: feature for feature in baseline.features} if baseline is not None else {}
    return [
        {
            "feature": feature.name,
            "inferred_type": feature.inferred_type,
            "bars": [
                {"label": bar.label, "current": bar.current, "baseline": bar.baseline}
                for bar in build_bars(feature, known.get(feature.name))
            ],
        }
        for feature in current.features
    ]
