"""``sagewatch routes``: who would hear of an incident, when, and why."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import click

from sagewatch.cli.terminal import say
from sagewatch.incident.amounts import format_duration
from sagewatch.incident.matching import LABELS, build_family
from sagewatch.incident.possible import Known, find_foreign_kinds, find_impossible
from sagewatch.incident.routing import Routed, decide_receivers
from sagewatch.monitors import read_monitors
from sagewatch.monitors.doubts import tell_foreign_kind


@click.group()
def routes() -> None:
    """Try the routes of monitors.yml without telling anybody."""


@routes.command(epilog="Example: sagewatch routes test endpoint=traffic-signs severity=critical")
@click.argument("labels", nargs=-1, metavar="LABEL=VALUE...")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("monitors.yml"),
    show_default=True,
    help="The monitors file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def test(labels: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    """Say who hears of an incident with these labels, and by which way through the tree.

    Labels: account, region, endpoint, variant, kind, subject, family, severity. One that is not given is empty;
    family follows from the subject.
    """
    given = _read_labels(labels)
    monitors = read_monitors(path)
    found = decide_receivers(monitors.route, given)
    if as_json:
        click.echo(json.dumps([_as_row(routed) for routed in found], indent=2))
        return
    for routed in found:
        say(_tell(routed))
    if not found:
        say("Nobody hears of it.")
    for kind in find_foreign_kinds(text for text in labels if text.startswith("kind=")):
        say(f"Is this meant? {tell_foreign_kind(kind)}")


def _read_labels(labels: tuple[str, ...]) -> dict[str, str]:
    given = {}
    for text in labels:
        label, equals, value = text.partition("=")
        if not equals or label not in LABELS:
            raise click.UsageError(f"{text} is no label=value; labels are {', '.join(LABELS)}.")
        # The same rule as for the matchers of monitors.yml; an endpoint may be one that is not watched yet.
        if impossible := find_impossible([f'{label}="{value}"'], Known()):
            raise click.UsageError(impossible)
        given[label] = value
    given.setdefault("family", build_family(given.get("subject", "")))
    return given


def _tell(routed: Routed) -> str:
    timers = routed.timers
    when = "at once" if not timers.wait else f"after {format_duration(timers.wait)}"
    if routed.after:
        when = f"if nobody acknowledges for {format_duration(routed.after)}"
    return (
        f"{routed.receiver}: {when}; by {routed.reason}; together by {', '.join(timers.group_by)}; "
        f"again every {format_duration(timers.repeat)}"
    )


def _as_row(routed: Routed) -> dict[str, object]:
    def seconds(length: timedelta) -> float:
        return length.total_seconds()

    timers = routed.timers
    return {
        "receiver": routed.receiver,
        "reason": routed.reason,
        "after_seconds": seconds(routed.after),
        "group_by": list(timers.group_by),
        "group_wait_seconds": seconds(timers.wait),
        "group_interval_seconds": seconds(timers.interval),
        "repeat_interval_seconds": seconds(timers.repeat),
        "remind_interval_seconds": seconds(timers.remind),
    }
