"""What the commands on data sets share: which format is meant, and the bar that shows how far they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagewatch.cli.terminal import say

if TYPE_CHECKING:
    from sagewatch.quality.readout import Readout

_SEPARATORS = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}
FORMATS = ("csv", "jsonl", "json", "parquet", "capture")


def format_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format``, ``--header`` and ``--preprocessor`` to a command."""
    for option in (
        click.option(
            "--preprocessor",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A script with preprocess_handler.",
        ),
        click.option(
            "--header/--no-header",
            default=None,
            help="CSV: does the first row name the columns? Default: look.",
        ),
        click.option(
            "--format", "kind", type=click.Choice(FORMATS), help="What the files hold. Default: look."
        ),
    ):
        command = option(command)
    return command


def read_data(
    source: Path, kind: str | None, *, header: bool | None, preprocessor: Path | None, mode: str, quiet: bool
) -> Readout:
    """Read a data set with a progress bar on standard error.

    Raises
    ------
    RejectedInputError
        When there are no data, or none of them can be read.
    """
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from sagewatch.quality.align import Mode
    from sagewatch.quality.dataset_format import DatasetFormat, FileKind
    from sagewatch.quality.files import NoDataError, find_files, sniff_dataset
    from sagewatch.quality.reading import ReadSettings
    from sagewatch.quality.report import describe_nothing
    from sagewatch.quality.script import ScriptError
    from sagewatch.quality.workers import read_dataset

    files = find_files(source)
    found = DatasetFormat(FileKind(kind)) if kind else sniff_dataset(files)
    if header is not None:
        found = msgspec.structs.replace(found, header=header)
    settings = ReadSettings(found, mode=Mode(mode), preprocessor=str(preprocessor) if preprocessor else None)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # Without a thread of its own, which would keep this process from being copied for the other cores.
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True, auto_refresh=False)
    with bar:
        task = bar.add_task("reading", total=sum(path.stat().st_size for path in files))

        def show(done: int, _: int) -> None:
            bar.update(task, completed=done, refresh=True)

        try:
            readout = read_dataset(files, settings, os.cpu_count() or 1, show, alone=True)
        except ScriptError as error:
            # Whoever runs it here has the data before him.
            if error.said:
                say(f"The script said: {error.said}", err=True)
            raise
    if readout.tables.is_empty:
        # An empty report would pass for one of unchanged data.
        raise NoDataError(f"no data: {describe_nothing(readout)}", where=str(source))
    if found.kind is FileKind.CSV and (sign := find_other_separator(files[0])):
        say(
            f"One column: the first line of {files[0]} has {sign} and no comma; values are parted by commas.",
            err=True,
        )
    return readout


def find_other_separator(path: Path) -> str:
    """What seems to part the values of a table that has no commas, in words; empty where nothing does."""
    with path.open("rb") as file:
        first = file.readline(4096)
    if b"," in first:
        return ""
    return next((name for sign, name in _SEPARATORS.items() if sign in first), "")
