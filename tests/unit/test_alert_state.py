"""What is due, as two deliverers at once write it: the younger sight of an incident stands."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from sagewatch.alert_state import AlertState
from sagewatch.incident.model import OpenRecord
from sagewatch.memory.items import MemoryItems
from sagewatch.ports import ANY_VERSION, Write
from sagewatch.state import State
from sagewatch.state.incidents import OPEN_INCIDENTS
from tests.unit.incident.story import at, build_incident, resolve

LATER = at(100) + timedelta(minutes=15)


@pytest.fixture
def items():
    return MemoryItems()


def save(items, incident):
    """The incident as it is loaded after it was saved."""
    state = State(items)
    record = state.load_open(incident.fingerprint) or OpenRecord(fingerprint=incident.fingerprint)
    state.save_incident(incident, record, [])
    return state.load_incident(incident.incident_id)


def test_a_deliverer_that_saw_the_incident_open_does_not_open_it_again(items):
    stale = save(items, build_incident())
    ended = save(items, msgspec.structs.replace(resolve(build_incident()), version=stale.version))
    alerts = AlertState(items)
    alerts.save_due(ended, None, at(100))
    alerts.save_due(stale, LATER, at(100))
    assert [one for one in alerts.list_sources() if one.over_at is None] == []
    assert alerts.list_due() == []


def test_a_deliverer_that_saw_less_does_not_put_off_the_look_that_a_change_asked_for(items):
    stale = save(items, build_incident())
    save(items, msgspec.structs.replace(stale, acknowledged_by="ada"))
    alerts = AlertState(items)
    (before,) = alerts.list_due()
    alerts.save_due(stale, LATER, at(100))
    assert alerts.list_due() == [before]


def test_a_row_of_an_older_version_is_taken_over(items):
    incident = save(items, save(items, save(items, build_incident())))
    row = items.get(OPEN_INCIDENTS, incident.incident_id)
    items.write([Write(msgspec.structs.replace(row, version=1), ANY_VERSION)])  # as it was written before
    alerts = AlertState(items)
    alerts.save_due(incident, LATER, at(100))
    assert [one.due_at for one in alerts.list_due()] == [LATER]
