"""``sagewatch analyze``: data against a baseline, as the monitoring job does it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.dataset import format_options, read_data
from sagewatch.cli.terminal import say
from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from sagewatch.quality.analysis import Baseline


_SHOWN = 20


@click.command(
    epilog="Example: sagewatch analyze captures/ --baseline baseline --out report --fail-on-violation"
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with constraints.json and statistics.json, AWS's or ours.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the report goes."
)
@format_options
@click.option(
    "--mode",
    type=click.Choice(["exact", "compat"]),
    default="exact",
    show_default=True,
    help="exact: calibrated verdicts. compat: AWS's, its faults included.",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.001,
    show_default=True,
    help="Accepted share of analyses of unchanged data that report drift.",
)
@click.option("--expected-rows", type=click.IntRange(1), help="Fewer than a tenth of them is a violation.")
@click.option("--fail-on-violation", is_flag=True, help="Exit code 3 if anything departs from the baseline.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def analyze(
    data: Path,
    baseline: Path,
    out: Path,
    kind: str | None,
    mode: str,
    false_alarms: float,
    expected_rows: int | None,
    *,
    header: bool | None,
    preprocessor: Path | None,
    fail_on_violation: bool,
    as_json: bool,
) -> None:
    """Compare data with a baseline; writes statistics.json, constraints.json and constraint_violations.json.

    Exit codes: 0 with or without violations; 3 with violations under --fail-on-violation; 1 if there are no data or
    none can be read.
    """
    from sagewatch.quality.align import Mode
    from sagewatch.quality.analysis import analyze as analyze_data
    from sagewatch.quality.checks import CheckSettings
    from sagewatch.quality.drift import DriftSettings
    from sagewatch.quality.report import describe_outcome, describe_rejected, write_report
    from sagewatch.quality.violation_table import name_columns

    expected = read_baseline(baseline)
    readout = read_data(data, kind, header=header, preprocessor=preprocessor, mode=mode, quiet=as_json)
    settings = CheckSettings(DriftSettings(Mode(mode), false_alarms), expected_rows)
    analysis = analyze_data(readout, expected, settings)
    write_report(out, analysis, readout, with_violations=True)
    if as_json:
        import msgspec

        summary = {
            "mode": mode,
            "rows": analysis.statistics.dataset.item_count,
            "rejected": readout.counts.rejected,
            "violations": msgspec.to_builtins(analysis.violations),
            "out": str(out),
        }
        click.echo(json.dumps(summary))
    else:
        for violation in analysis.violations[:_SHOWN]:
            say(f"{violation.subject}: {violation.description.strip()}{name_columns(violation)}")
        if len(analysis.violations) > _SHOWN:
            say(f"... and {len(analysis.violations) - _SHOWN} more: sagewatch violations {out}")
        say(describe_outcome(len(analysis.violations)))
        if said := describe_rejected(readout):
            say(said, err=True)
    if analysis.violations and fail_on_violation:
        sys.exit(3)


def read_baseline(folder: Path) -> Baseline | None:
    """The baseline in a folder, whatever of its two files there is.

    Raises
    ------
    ConfigurationError
        When there is neither.
    RejectedInputError
        When one is no such file.
    """
    from sagewatch.quality.analysis import build_baseline
    from sagewatch.quality.constraints import parse_constraints
    from sagewatch.quality.documents import CONSTRAINTS, STATISTICS
    from sagewatch.quality.statistics import parse_statistics

    constraints, statistics = folder / CONSTRAINTS, folder / STATISTICS
    found = build_baseline(
        parse_constraints(constraints.read_bytes(), str(constraints)) if constraints.exists() else None,
        parse_statistics(statistics.read_bytes(), str(statistics)) if statistics.exists() else None,
    )
    if found is None:
        raise ConfigurationError(f"neither {CONSTRAINTS} nor {STATISTICS} is here", where=str(folder))
    return found
