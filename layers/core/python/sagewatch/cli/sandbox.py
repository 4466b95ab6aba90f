"""``sagewatch sandbox up``: the stack on a local AWS, standing until it is stopped."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.terminal import say

if TYPE_CHECKING:
    from sagewatch.sandbox.demo.stage import Stage
    from sagewatch.sandbox.viewer import Sources


@click.group()
def sandbox() -> None:
    """The local AWS: the stack, real handlers, a SageMaker and a Slack, all on 127.0.0.1."""


@sandbox.command("up", epilog="Example: sagewatch sandbox up --out sandbox-out")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("sandbox-out"), show_default=True
)
@click.option("--for", "seconds", type=float, help="Stop after so many seconds; default: Ctrl-C stops it.")
@click.option("--json", "as_json", is_flag=True, help="Print addresses and variables as JSON.")
def up(out: Path, seconds: float | None, *, as_json: bool) -> None:
    """Start it, deploy serverless.yml into it, and say how to speak to it.

    The printed variables make any AWS tool, and every other command of sagewatch, speak to it and to nothing else.
    """
    from sagewatch.sandbox.demo.stage import set_up
    from sagewatch.sandbox.deployment import STACK
    from sagewatch.sandbox.viewer import Viewer

    def tell(text: str) -> None:
        say(text, err=True)

    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with set_up(Path.cwd(), out, None, tell) as stage, Viewer(_build_sources(stage)) as viewer:
        variables = {**stage.aws.environment, "SAGEWATCH_STACK": STACK}
        (out / "env.sh").write_text(
            "".join(f"export {name}='{value}'\n" for name, value in variables.items()), encoding="utf-8"
        )
        if as_json:
            told = {
                "variables": variables,
                "outputs": stage.outputs,
                "slack": stage.slack.url,
                "browser": {page: viewer.address(page) for page in ("inbox", "slack", "pages")},
                "folder": str(out),
            }
            click.echo(json.dumps(told))
        else:
            say(f"AWS        {variables['AWS_ENDPOINT_URL']}")
            say(f"SageMaker  {variables['AWS_ENDPOINT_URL_SAGEMAKER']}")
            say(f"Slack      {stage.slack.url}")
            say(f"Mail       smtp://127.0.0.1:{stage.inbox.server.port}, in {out / 'mail'}")
            say(f"To open    {viewer.address('inbox')}, {viewer.address('slack')}, {viewer.address('pages')}")
            say(f"Captures   s3://{stage.outputs['CaptureBucket']}/{stage.outputs['CapturePrefix']}/")
            say(f"In another terminal: source {out / 'env.sh'}; sagewatch doctor")
        threading.Event().wait(seconds)


def _build_sources(stage: Stage) -> Sources:
    """What a browser is shown of the stage."""
    from sagewatch.sandbox.viewer import Sources

    s3, bucket = stage.aws.client("s3"), stage.outputs["EvidenceBucket"]

    def list_pages() -> list[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
        return [key for key in keys if key.endswith("index.html")]

    def read_page(key: str) -> bytes:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    return Sources(stage.inbox.mails, stage.slack.messages, list_pages, read_page)
