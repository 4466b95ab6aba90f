"""What Sagewatch is doing is true of every kind, while it lasts and when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.events import Ticked
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.incident.describe import KINDS
from sagewatch.incident.doing import tell_doing
from tests.unit.flows.worlds import Pump, build_event, build_finding, build_world
from tests.unit.incident.story import build_incident, resolve


def was_diagnosed(kind):
    """Whether a diagnosis of a new incident of this kind was begun, or decided against, once all was heard."""
    world = build_world()
    handle(manage_incident, build_event(build_finding(kind=kind, fingerprint="f" * 16)), world)
    Pump(world).run()
    for _ in range(5):
        world.now.move(timedelta(minutes=1))
        tick(Ticked(world.now()), world)
    Pump(world).run()
    (row,) = world.state.list_incidents()
    return world.state.load_incident(row.incident_id).diagnosis is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_diagnosis_is_promised_where_one_is_decided_on_and_nowhere_else(kind):
    incident = build_incident(kind=kind)
    assert ("begins within seconds" in tell_doing(incident)) == was_diagnosed(kind)
    assert ("before a diagnosis" in tell_doing(resolve(incident))) == was_diagnosed(kind)
