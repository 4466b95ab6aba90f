"""``sagewatch explain-tensors``: heat maps of what a hook recorded, ours or the notebook's."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.terminal import say
from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

S3 = "s3://"


@click.command(
    "explain-tensors", epilog="Example: sagewatch explain-tensors tensors --out explained --suspect 14"
)
@click.argument("place")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("explained"),
    show_default=True,
    help="Where pictures and explanations.json go.",
)
@click.option(
    "--suspect", type=int, help="The class in question: its inputs come first, the others are compared with."
)
@click.option(
    "--most", type=click.IntRange(1), default=40, show_default=True, help="Inputs to explain at most."
)
@click.option(
    "--region",
    default="",
    help="Where the model is expected to look: left,top,right,bottom in shares of the picture.  "
    "[default: 0.1,0.1,0.9,0.9]",
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def explain_tensors(
    place: str, out: Path, suspect: int | None, most: int, region: str, *, as_json: bool
) -> None:
    """Explain recorded predictions: FullGrad heat maps of the tensors below PLACE, a folder or s3://bucket/prefix.

    Reads what Sagewatch's hook writes and what smdebug's own hooks write. Exit code 1 if nothing can be explained.
    """
    from sagewatch.explain.region import read_region
    from sagewatch.explain.report import Question, explain_steps
    from sagewatch.explain.selection import Suspicion, choose_steps
    from sagewatch.explain.trial import TrialReader, find_steps

    with fetch(place) as folder:
        steps = find_steps(folder)
        if not steps:
            raise RejectedInputError("holds no recorded step (index/*/*.json)", where=place)
        reader = TrialReader(steps)
        chosen, skipped = choose_steps(steps, reader, most, Suspicion(suspect))
        report = explain_steps(chosen, reader, out, Question(suspect, region=read_region(region, "--region")))
    told = report.as_json()
    told["skipped"] = [{"file": each.file, "reason": each.reason} for each in (*skipped, *report.skipped)]
    (out / "explanations.json").write_text(json.dumps(told, indent=1, allow_nan=False), encoding="utf-8")
    if not report.images:
        raise RejectedInputError(f"no step can be explained: {told['skipped'][0]['reason']}", where=place)
    if as_json:
        click.echo(json.dumps(told))
        return
    for image in report.images:
        mark = "" if image.completeness_ok else "  INCOMPLETE"
        mark += "  LOOKS PAST THE REGION" if image.looks_past_region else ""
        sure = "" if image.probability is None else f", {image.probability:.1%}"
        say(f"{image.class_name}{sure}: {out / image.heatmap}{mark}")
    say(f"{len(report.images)} explained, {len(told['skipped'])} skipped; explanations.json in {out}")
    if report.comparison is not None:
        say(report.comparison.sentence)


@contextmanager
def fetch(place: str) -> Iterator[Path]:
    """The recording as a folder; what lies in S3 is fetched, an object once."""
    if not place.startswith(S3):
        if not Path(place).is_dir():
            raise RejectedInputError("is no folder", where=place)
        yield Path(place)
        return
    from sagewatch.aws.s3 import S3Objects

    objects = S3Objects()
    bucket, _, prefix = place.removeprefix(S3).partition("/")
    prefix = f"{prefix.rstrip('/')}/"
    with tempfile.TemporaryDirectory(prefix="tensors-") as name:
        for key in objects.list_objects(bucket, prefix):
            target = Path(name) / key.removeprefix(prefix)
            if not target.resolve().is_relative_to(Path(name).resolve()):
                raise RejectedInputError("leads out of its prefix", where=f"{S3}{bucket}", key=key)
            stream = objects.open_object(bucket, key)
            if stream is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(stream.read())
        yield Path(name)
