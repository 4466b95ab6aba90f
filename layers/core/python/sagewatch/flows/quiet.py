"""Everything that can mute an incident, gathered from the table and monitors.yml."""

from __future__ import annotations

from datetime import datetime, timedelta

from sagewatch.incident.model import Incident
from sagewatch.incident.muting import Mute, Quiet, may_automate
from sagewatch.world import World

OF_LATE = timedelta(hours=1)
"""An incident that ended so long ago may still explain what was over beside it: their rows are not kept for longer."""


def load_quiet(world: World, now: datetime) -> Quiet:
    """Silences, windows and inhibitions as they stand; incidents are read only if a rule asks.

    Silences are one query, over or not: word of what was over in one may come days after it.
    """
    monitors = world.monitors
    since = now - OF_LATE - monitors.flapping.hold  # what is held for so long is over since it began to be
    there = world.alerts.list_sources() if monitors.inhibitions else ()
    kept = world.alerts.list_silences(None)
    return Quiet(
        silences=tuple(one for one in kept if not one.is_over(now)),
        past=tuple(one for one in kept if one.is_over(now)),
        windows=monitors.windows,
        inhibitions=monitors.inhibitions,
        open=tuple(one for one in there if one.over_at is None),
        ended=tuple(one for one in there if one.over_at is not None and since < one.over_at),
    )


def find_reason_to_wait(incident: Incident, world: World) -> Mute | None:
    """Why no automation may begin for the incident now: it is silenced, in a window, explained or on trial."""
    now = world.now()
    return may_automate(incident, load_quiet(world, now), now)
