"""Everything that can mute an incident, gathered from the table and monitors.yml."""

from __future__ import annotations

from datetime import datetime

from sagewatch.incident.model import Incident
from sagewatch.incident.muting import Mute, Quiet, may_automate
from sagewatch.world import World


def load_quiet(world: World, now: datetime) -> Quiet:
    """Silences, windows and inhibitions as they stand; open incidents are read only if a rule asks."""
    monitors = world.monitors
    return Quiet(
        silences=world.alerts.list_silences(now),
        windows=monitors.windows,
        inhibitions=monitors.inhibitions,
        open=world.alerts.list_open() if monitors.inhibitions else (),
    )


def find_reason_to_wait(incident: Incident, world: World) -> Mute | None:
    """Why no automation may begin for the incident now: it is silenced, in a window, explained or on trial."""
    now = world.now()
    return may_automate(incident, load_quiet(world, now), now)
