"""``sagewatch demo-tabular``: the second story, on tabular data, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from sagewatch.cli.terminal import tell_path


@click.command("demo-tabular", epilog="Example: sagewatch demo-tabular --out demo-out")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-out"), show_default=True
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=14, show_default=True, help="Which customers are drawn."
)
@click.option(
    "--slack-port",
    type=click.IntRange(1, 65535),
    help="Port of the local Slack; default: 18471, or a free one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and the story to stderr.")
def demo_tabular(out: Path, seed: int, slack_port: int | None, *, as_json: bool) -> None:
    """Watch drifted and broken data of a churn model being noticed, told and cleared, on a local AWS.

    Writes summary.json, incident.html, violations.html, distributions.html, reports/, baseline/, mail/, slack/
    and events.jsonl. Exit code 1 if any of it is not as it must be. Nothing listens beyond 127.0.0.1 and
    nothing calls out.
    """
    from rich.console import Console

    from sagewatch.sandbox.demo.figures import write_summary
    from sagewatch.sandbox.demo.narrator import Narrator
    from sagewatch.sandbox.demo.stage import set_up
    from sagewatch.sandbox.demo.summary import DemoFailedError
    from sagewatch.sandbox.demo.tabular_story import MONITORS, Plan, play
    from sagewatch.sandbox.demo.tabular_summary import build_table, find_wrong, summarise
    from sagewatch.sandbox.guard.sitecustomize import install

    console = Console(stderr=as_json)
    narrator = Narrator(console)
    out = out.resolve()
    install(str(out / ".sandbox" / "outbound.log"))  # this process too: the children are guarded anyway
    with set_up(Path.cwd(), out, slack_port, narrator.say, monitors=MONITORS) as stage:
        told = play(stage, Plan(seed=seed), narrator)
        summary = summarise(stage, told)
    path = write_summary(summary, out)
    if as_json:
        click.echo(json.dumps(asdict(summary)))
    else:
        console.print(build_table(summary, path, tell_path))
    wrong = find_wrong(summary)
    if wrong:
        raise DemoFailedError(wrong)
