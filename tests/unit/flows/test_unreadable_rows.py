"""A row of the table that cannot be read keeps nobody else's alert waiting, and is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RejectedInputError
from sagewatch.events import Ticked
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.ports import ANY_VERSION, Item, Write
from sagewatch.state import OPEN_INCIDENTS
from tests.unit.flows.worlds import MONITORS, Pump, build_event, build_finding, build_world

INHIBITING = MONITORS + 'inhibit: [{when: ["kind=no-data"], mutes: ["kind=confidence"], equal: [endpoint]}]\n'
DAMAGED = [
    b"junk",
    b"{}",
    b'{"incident_id": "x", "due_at": null, "over": false, "staged": false, "labels": {}}',
]


class Stage:
    """An incident of which nobody was told yet: the event that says so was lost."""

    def __init__(self):
        self.world = build_world(INHIBITING)
        self.pump = Pump(self.world)
        handle(manage_incident, build_event(build_finding()), self.world)
        self.world.bus.events.clear()
        (listed,) = self.world.state.list_incidents()
        self.incident_id = listed.incident_id

    def damage(self, pk, sk, body, version=1):
        self.world.state._items.write([Write(Item(pk, sk, body, version), ANY_VERSION)])

    def tick(self):
        self.world.now.move(timedelta(minutes=1))
        try:
            tick(Ticked(self.world.now()), self.world)
        finally:
            self.pump.run()


@pytest.mark.parametrize("body", DAMAGED)
def test_a_row_of_no_incident_is_named_and_the_others_are_told(body):
    stage = Stage()
    stage.damage(OPEN_INCIDENTS, "20261121T120000Z-none", body)
    with pytest.raises(RejectedInputError) as named:
        stage.tick()
    assert named.value.key == "20261121T120000Z-none"
    assert len(stage.world.chat.posted) == 1


@pytest.mark.parametrize("body", DAMAGED)
def test_an_incident_whose_row_was_damaged_is_told_all_the_same_and_its_row_mended(body):
    stage = Stage()
    assert stage.world.chat.posted == []
    stage.damage(OPEN_INCIDENTS, stage.incident_id, body)
    stage.tick()
    assert len(stage.world.chat.posted) == 1
    found, unreadable = stage.world.alerts.read_due()
    assert ([one.incident_id for one in found], unreadable) == ([stage.incident_id], [])
    stage.tick()
    assert len(stage.world.chat.posted) == 1


def test_a_damaged_silence_silences_nothing_and_is_named():
    stage = Stage()
    stage.damage("silences", "eabdce5d97bbe45e", b'{"silence_id": 7}')
    with pytest.raises(RejectedInputError, match="silences nothing") as named:
        stage.tick()
    assert named.value.key == "eabdce5d97bbe45e"
    assert len(stage.world.chat.posted) == 1
