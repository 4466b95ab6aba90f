"""Receivers that were told of something open and that monitors.yml names no more: nobody will tell them of the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sagewatch.cli.checks import Line, Patient

if TYPE_CHECKING:
    from sagewatch.monitors import Monitors
    from sagewatch.ports import Items

_FIX = (
    "Keep it in monitors.yml, under the name it had, until they are over (no route need lead to it), or close them "
    "there by hand."
)


def check_receivers(patient: Patient) -> Iterator[Line]:
    """Whoever has something open is still in monitors.yml."""
    if patient.monitors is None or patient.items is None:
        return
    left = list(find_left_open(patient.monitors, patient.items))
    yield from left or [Line(True, "receivers", "whoever has an alert open is in monitors.yml")]


def find_left_open(monitors: Monitors, items: Items) -> Iterator[Line]:
    """A line for each receiver's channel that a monitors.yml no longer names and that has alerts open."""
    from sagewatch.alert_state import AlertState
    from sagewatch.flows.channels import list_channels
    from sagewatch.state import State

    named = {
        f"{name}/{channel}" for name, one in monitors.receivers.items() for channel in list_channels(one)
    }
    state = State(items)
    told = (
        debt.receiver
        for due in AlertState(items).list_due()
        for debt in state.load_debts(due.incident_id)
        if debt.told == "firing"
    )
    for receiver, count in sorted(Counter(one for one in told if one not in named).items()):
        alerts = "1 alert" if count == 1 else f"{count:,} alerts"
        found = f"has {alerts} open and is not in monitors.yml: it will not be told when they are over"
        yield Line(False, f"receiver {receiver}", found, _FIX)
