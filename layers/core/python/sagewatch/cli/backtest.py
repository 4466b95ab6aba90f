"""``sagewatch backtest``: try a change of thresholds on recorded traffic before it wakes anybody."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from sagewatch.cli.terminal import say
from sagewatch.errors import ConfigurationError, SagewatchError

if TYPE_CHECKING:
    from sagewatch.replay.backtest import Backtest
    from sagewatch.replay.injection import Injection
    from sagewatch.replay.load import Recording

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class BacktestFailedError(SagewatchError):
    """A configuration would send too much, or miss what was injected."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons) + ".")
        self.reasons = reasons


@click.command(
    epilog="Example: sagewatch backtest captures --config stricter.yml --against monitors.yml --max-alerts 3"
)
@click.argument("captures", type=_FOLDER)
@click.option("--config", required=True, type=_FILE, help="The monitors file that is tried.")
@click.option("--against", type=_FILE, help="Another one, to compare with.")
@click.option(
    "--max-alerts", type=click.IntRange(0), help="Exit code 1 where the tried one would send more alerts."
)
@click.option(
    "--inject", help="An attack: class=14,share=0.3,from=2026-11-02T10:00Z[,to=...][,endpoint=...]."
)
@click.option(
    "--prefix", default="capture", show_default=True, help="Key prefix of the captures below the folder."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the page to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def backtest(
    captures: Path,
    config: Path,
    against: Path | None,
    max_alerts: int | None,
    inject: str | None,
    prefix: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """What would have been found and sent on these captures, when, and how late. Nothing is sent.

    CAPTURES is a folder as in S3 (`aws s3 sync s3://BUCKET captures`), or one that `sagewatch demo` left. Exit
    code 1: more than --max-alerts alerts, or the injected attack is missed on any endpoint that it changes, or captures that
    are told of are not there.
    """
    from sagewatch.observability import get_logger
    from sagewatch.replay.backtest import compare_backtests
    from sagewatch.replay.injection import parse_injection
    from sagewatch.replay.keep import check_writable
    from sagewatch.replay.page import build_backtest_page

    get_logger().setLevel("ERROR")
    injection = parse_injection(inject) if inject else None
    if out is not None:
        check_writable(out)
    names = name_files(config, against)
    runs = [_run(captures, file, name, prefix, injection) for file, name in names]
    refuse_nothing(runs[0], captures, injection)
    for other in runs[1:]:
        refuse_nothing(other, captures, None)
    differences = compare_backtests(*runs) if len(runs) > 1 else []
    if out is not None:
        command = build_command(captures, config, against, inject, prefix)
        out.write_bytes(build_backtest_page(runs, differences, command))
    if as_json:
        click.echo(json.dumps({"runs": msgspec.to_builtins(runs), "differences": differences}, indent=2))
    else:
        for run in runs:
            _show(run, injected=injection is not None)
        for sentence in differences:
            say(sentence)
    reasons = list(_find_reasons(runs[0], max_alerts))
    if reasons:
        raise BacktestFailedError(reasons)


def build_command(captures: Path, config: Path, against: Path | None, inject: str | None, prefix: str) -> str:
    """The command that makes a page again: it names captures, files and attack.

    Examples
    --------
    >>> build_command(Path("night"), Path("new.yml"), None, None, "capture")
    'sagewatch backtest night --config new.yml'
    """
    words = ["sagewatch", "backtest", str(captures), "--config", str(config)]
    words += ["--against", str(against)] if against else []
    words += ["--inject", inject] if inject else []
    words += ["--prefix", prefix] if prefix != "capture" else []
    return shlex.join(words)


def _run(captures: Path, file: Path, name: str, prefix: str, injection: Injection | None) -> Backtest:
    from sagewatch.monitors import read_monitors
    from sagewatch.replay import backtest as backtests

    recording = load_captures(captures, file, prefix)
    return backtests.backtest(recording, read_monitors(file), name, injection)


def name_files(config: Path, against: Path | None) -> list[tuple[Path, str]]:
    """The files with the names that tell them apart: their own, or their whole paths where these are equal."""
    if against is None:
        return [(config, config.name)]
    if config.name != against.name:
        return [(config, config.name), (against, against.name)]
    if str(config) != str(against):
        return [(config, str(config)), (against, str(against))]
    return [(config, f"{config.name} (tried)"), (against, f"{against.name} (against)")]


def refuse_nothing(run: Backtest, captures: Path, injection: Injection | None) -> None:
    """A configuration that was tried on nothing has not passed.

    Raises
    ------
    ConfigurationError
        It watches none of what was captured, or the attack changes none of it, or nothing of it is there.
    """
    from sagewatch.replay.outcome import tell_missing

    if not run.predictions and run.missing:
        raise ConfigurationError(tell_missing(run.missing), where=str(captures), key="CAPTURES")
    if not run.predictions or run.began is None or run.ended is None:
        raise ConfigurationError(
            f"watches none of the endpoints captured in {captures}: there is nothing to judge it by",
            where=run.config,
            key="endpoints",
        )
    if injection is not None and not run.attacked:
        whose = f" of {injection.endpoint}" if injection.endpoint else ""
        raise ConfigurationError(
            f"changes no prediction{whose}: what {run.config} watches was captured from "
            f"{run.began:%Y-%m-%dT%H:%M:%SZ} to {run.ended:%Y-%m-%dT%H:%M:%SZ}",
            where="--inject",
            key="endpoint" if injection.endpoint else "from",
        )


def load_captures(captures: Path, monitors: Path, prefix: str) -> Recording:
    """The captures of a folder as a recording."""
    from sagewatch.replay.load import load_recording

    # What the demo leaves holds its captures in a folder of their own.
    inner = captures / "captures"
    folder = inner if inner.is_dir() and not (captures / prefix).is_dir() else captures
    return load_recording([folder], folder, monitors, prefix=prefix)


def _show(run: Backtest, *, injected: bool) -> None:
    from sagewatch.incident.amounts import format_duration, format_time
    from sagewatch.replay.backtest import tell_assumption, tell_attack, tell_false_alarms
    from sagewatch.replay.outcome import tell_missing

    say(
        f"{run.config}: {run.alerts} {'alert' if run.alerts == 1 else 'alerts'} in {run.predictions:,} predictions, "
        f"{' '.join(tell_false_alarms(run))} {tell_assumption(run)}"
    )
    if run.missing:
        say(f"  {tell_missing(run.missing)}: nothing is said of what they held")
    for one in run.found:
        took = f"took {one.took:,} predictions, {format_duration(max(one.seconds, 0))}"
        told = "told" if one.sent else "recorded only"
        mark = " (the injected attack)" if one.wanted else ""
        what = f"{one.endpoint} {one.about}"
        say(f"  {format_time(one.at)}  {one.severity:<8}  {what}: {took}; {told}{mark}")
    if injected and (attack := tell_attack(run)):
        say(f"  {attack}")


def _find_reasons(run: Backtest, max_alerts: int | None) -> list[str]:
    from sagewatch.replay.backtest import tell_attack
    from sagewatch.replay.outcome import tell_missing

    reasons = [f"{run.config} was tried on a part: {tell_missing(run.missing)}"] if run.missing else []
    if max_alerts is not None and run.alerts > max_alerts:
        alerts = "1 alert" if run.alerts == 1 else f"{run.alerts} alerts"
        reasons.append(f"{run.config} would send {alerts}, more than {max_alerts}")
    if run.missed:
        reasons.append(tell_attack(run))
    return reasons
