"""``sagewatch baseline``: what a training set looks like, and what to expect of data like it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagewatch.cli.dataset import format_options, read_data
from sagewatch.cli.terminal import say


@click.command(epilog="Example: sagewatch baseline training.csv --header --out baseline")
@click.argument("dataset", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the two files go."
)
@format_options
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def baseline(
    dataset: Path,
    out: Path,
    kind: str | None,
    *,
    header: bool | None,
    preprocessor: Path | None,
    as_json: bool,
) -> None:
    """Write statistics.json and constraints.json of a data set, as SageMaker's suggest_baseline does.

    DATASET is a file or a folder: CSV, JSON Lines, JSON, Parquet, captures, batch-transform manifests. Lines that
    cannot be read are counted and listed in rejected_records.jsonl. Exit code 1 if there are no data.
    """
    from sagewatch.quality.analysis import analyze
    from sagewatch.quality.report import describe_rejected, write_report

    readout = read_data(dataset, kind, header=header, preprocessor=preprocessor, mode="exact", quiet=as_json)
    analysis = analyze(readout)
    files = write_report(out, analysis, readout, with_violations=False)
    rows, features = analysis.statistics.dataset.item_count, len(analysis.statistics.features)
    if as_json:
        summary = {
            "rows": rows,
            "features": features,
            "rejected": readout.counts.rejected,
            "left_out": sum(analysis.left_out.values()),
            "files": [str(path) for path in files],
        }
        click.echo(json.dumps(summary))
        return
    say(f"{rows} rows, {features} features: {', '.join(str(path) for path in files)}")
    for said in (describe_rejected(readout), _describe_left_out(analysis.left_out)):
        if said:
            say(said, err=True)


def _describe_left_out(left_out: dict[int, int]) -> str:
    if not left_out:
        return ""
    kinds = ", ".join(f"{rows} with {width} columns" for width, rows in left_out.items())
    return f"Rows of another shape were left out: {kinds}."
