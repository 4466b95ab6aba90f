"""Two backtests and their difference, for pages."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from sagewatch.replay.backtest import Backtest, Found
from tests.unit.flows.worlds import NOW


def build_runs():
    """Seven alerts against three, and what to say of it."""
    runs = []
    for config, count in (("a.yml", 7), ("b.yml", 3)):
        found = tuple(
            Found(endpoint="traffic-signs", variant="AllTraffic", kind="class-concentration", subject=str(n),
                  severity="critical", at=NOW + timedelta(hours=9 * n), cleared_at=NOW + timedelta(hours=9 * n + 1),
                  position=1000 * n, took=25, seconds=90, sent=n % 2 == 0)
            for n in range(count)
        )  # fmt: skip
        runs.append(Backtest(config=config, began=NOW, ended=NOW + timedelta(days=7), predictions=1_400_000, found=found,
                             alerts=count, false_alarms=count, false_alarms_per_week=float(count)))  # fmt: skip
    return runs, ["a.yml sends 7, b.yml sends 3.", "b.yml is 412 predictions slower on 2026-11-22."]


def build_hostile_runs(text):
    """The same with a text in every field that comes from outside; in the command, too."""
    runs, _ = build_runs()
    hostile = [
        msgspec.structs.replace(
            run,
            config=f"{text}{n}",
            attacked=700,
            missed=(text, "signs"),
            found=tuple(
                msgspec.structs.replace(one, endpoint=text, variant=text, kind=text, subject=text)
                for one in run.found
            ),
        )
        for n, run in enumerate(runs)
    ]
    return hostile, [text], f"sagewatch backtest {text}"
