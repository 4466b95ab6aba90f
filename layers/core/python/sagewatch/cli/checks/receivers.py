"""What is open where monitors.yml names the receiver, or the endpoint, no more: nobody will tell, or find, that it is over."""

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
_FIX_ENDPOINT = (
    "Keep it in monitors.yml until they are over, or end them by hand: sagewatch incidents list, then sagewatch incidents "
    "resolve ID --reason ... for each."
)


def check_receivers(patient: Patient) -> Iterator[Line]:
    """Whoever has something open, and whatever it is about, is still in monitors.yml."""
    if patient.monitors is None or patient.items is None:
        return
    left = list(find_left_open(patient.monitors, patient.items))
    yield from left or [Line(True, "receivers", "whoever has an alert open is in monitors.yml")]


def find_left_open(monitors: Monitors, items: Items) -> Iterator[Line]:
    """A line for each receiver's channel, and each endpoint, that a monitors.yml no longer names and that has something open."""
    from sagewatch.alert_state import AlertState
    from sagewatch.flows.channels import has_open, list_channels
    from sagewatch.state import State

    named = {
        f"{name}/{channel}" for name, one in monitors.receivers.items() for channel in list_channels(one)
    }
    state, alerts = State(items), AlertState(items)
    rows = alerts.list_due()
    left = (debt for due in rows for debt in state.load_debts(due.incident_id) if debt.receiver not in named)
    told = Counter(debt.receiver for debt in left if has_open(debt, alerts))
    for receiver, count in sorted(told.items()):
        how_many = "1 alert" if count == 1 else f"{count:,} alerts"
        found = f"has {how_many} open and is not in monitors.yml: it will not be told when they are over"
        yield Line(False, f"receiver {receiver}", found, _FIX)
    watched = Counter(due.labels["endpoint"] for due in rows if not due.over)
    for endpoint, count in sorted((name, n) for name, n in watched.items() if name not in monitors.endpoints):
        incidents = "1 incident" if count == 1 else f"{count:,} incidents"
        found = f"has {incidents} open and is not in monitors.yml: nothing ends them, and they are told again and again"
        yield Line(False, f"endpoint {endpoint}", found, _FIX_ENDPOINT)
