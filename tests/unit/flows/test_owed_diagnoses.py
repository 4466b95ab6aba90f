"""An incident whose opening nobody heard of is diagnosed all the same: the tick notices."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from sagewatch.diagnose.afterwards import WATCHED_FOR
from sagewatch.diagnose.model import Switch
from sagewatch.entry import handle
from sagewatch.events import ActionRequested, Ticked
from sagewatch.evidence.trail import build_trail
from sagewatch.finding import Stream, build_fingerprint
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.incident.doing import tell_doing
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)


def open_unheard(world, **changes):
    """An incident is opened, and the event of it is lost."""
    handle(manage_incident, build_event(build_finding(**changes)), world)
    world.bus.events.clear()


def pass_minutes(world, minutes):
    for _ in range(minutes):
        world.now.move(timedelta(minutes=1))
        tick(Ticked(world.now()), world)


def list_due(world):
    return [event for event in world.bus.events if event["detail-type"] == "Diagnosis Due"]


def test_an_incident_whose_opening_was_lost_is_diagnosed_within_minutes():
    world = build_world()
    open_unheard(world)
    pass_minutes(world, 2)
    assert list_due(world) == []  # the queue may still deliver it
    pass_minutes(world, 2)
    assert len(list_due(world)) == 2
    Pump(world).run()
    record_and_settle(world)
    diagnosis = world.state.load_diagnosis("signs")
    assert diagnosis.outcome == "explained"
    assert [call for call, _ in world.hosting.calls].count("CreateModel") == 1
    world.now.move(
        WATCHED_FOR
    )  # until then it is looked after: an update asked for before the end may come late
    world.bus.events.clear()
    pass_minutes(world, 5)
    assert list_due(world) == []


def test_what_was_refused_is_not_asked_again():
    world = build_world()
    world.state.save_switch(Switch(on=False, by="ana", reason="release"))
    open_unheard(world)
    pass_minutes(world, 4)
    Pump(world).run()
    world.bus.events.clear()
    world.state.save_switch(Switch())
    pass_minutes(world, 5)
    assert list_due(world) == []
    assert world.state.load_diagnosis("signs") is None


@pytest.mark.parametrize(
    ("monitors", "changes"),
    [
        (MONITORS.replace("mode: swap", "mode: off"), {}),
        (MONITORS, {"kind": "no-data", "subject": ""}),
        (MONITORS, {"endpoint": "another"}),
    ],
)
def test_nothing_is_owed_where_nothing_is_diagnosed(monitors, changes):
    world = build_world(monitors)
    open_unheard(world, **changes)
    pass_minutes(world, 6)
    assert list_due(world) == []


def test_an_incident_of_yesterday_is_left_alone():
    world = build_world()
    open_unheard(world)
    world.now.move(timedelta(hours=7))
    pass_minutes(world, 3)
    assert list_due(world) == []


def test_an_incident_that_is_over_is_left_alone():
    world = build_world()
    open_unheard(world)
    handle(manage_incident, build_event(build_finding(cleared_at=NOW + timedelta(minutes=1))), world)
    world.now.move(timedelta(minutes=20))
    pass_minutes(world, 3)
    assert list_due(world) == []


def test_a_diagnosis_waits_for_an_endpoint_that_its_owner_is_updating_and_spends_nothing_on_it():
    """Begun at once it would take the old configuration for the owner's, and be abandoned with the day's budget."""
    world = build_world()
    world.hosting.endpoints["signs"]["EndpointStatus"] = "Updating"
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert world.state.load_diagnosis("signs") is None
    (row,) = world.state.list_incidents()
    for _ in range(2):
        pass_minutes(world, 5)
        Pump(world).run()
    entries = [entry.what for entry in world.state.load_entries(row.incident_id)]
    assert entries.count("diagnosis_waits") == 1
    words = " ".join(map(str, build_trail(world.state.load_entries(row.incident_id))))
    assert "The endpoint is being updated: a diagnosis waits for that" in words
    world.hosting.configs["theirs"] = {
        **world.hosting.configs["signs-config"],
        "EndpointConfigName": "theirs",
    }
    world.hosting.endpoints["signs"] |= {"EndpointStatus": "InService", "EndpointConfigName": "theirs"}
    pass_minutes(world, 1)
    Pump(world).run()
    record_and_settle(world)
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.original_config, diagnosis.outcome, diagnosis.used_today) == ("theirs", "explained", 1)


def test_who_asks_by_hand_for_an_endpoint_that_is_being_updated_is_told_at_once_and_need_not_ask_again():
    world = build_world()
    world.hosting.endpoints["signs"]["EndpointStatus"] = "Updating"
    open_unheard(world)
    (row,) = world.state.list_incidents()
    asked = ActionRequested(
        incident_id=row.incident_id,
        action="diagnose",
        by="ada",
        at=world.now(),
        account="123456789012",
        region="eu-west-1",
    )
    advance_diagnosis(asked, world)
    said = tell_doing(world.state.load_incident(row.incident_id))
    assert said == "No diagnosis: the endpoint is being updated; it begins by itself once that is over."
    pass_minutes(world, 5)
    Pump(world).run()
    assert world.state.load_diagnosis("signs") is None
    world.hosting.endpoints["signs"]["EndpointStatus"] = "InService"
    pass_minutes(world, 1)
    Pump(world).run()
    record_and_settle(world)
    assert world.state.load_diagnosis("signs").outcome == "explained"


def test_an_incident_that_cannot_be_read_keeps_no_other_without_its_diagnosis():
    world = build_world(MONITORS.replace("  signs:", "  lanes: {diagnosis: {mode: swap}}\n  signs:"))
    world.hosting.deploy("lanes")
    for name in ("lanes", "signs"):
        stream = Stream(name, "AllTraffic")
        open_unheard(world, endpoint=name, fingerprint=build_fingerprint(stream, "class-concentration", "14"))
    load = world.state.load_incident
    rows = {row.endpoint: row.incident_id for row in world.state.list_incidents()}

    def cannot_read(incident_id):
        if incident_id == rows["lanes"]:
            raise msgspec.ValidationError("Object missing required field")
        return load(incident_id)

    world.state.load_incident = cannot_read
    world.now.move(timedelta(minutes=4))
    with pytest.raises(msgspec.ValidationError):
        tick(Ticked(world.now()), world)  # an alarm looks at it
    assert [event["detail"]["endpoint"] for event in list_due(world)] == ["signs"]


def test_a_round_that_is_cut_off_begins_with_another_endpoint_the_next_time(monkeypatch):
    names = ["lanes", "people", "signs"]
    world = build_world("version: 1\nendpoints: {lanes: {}, people: {}, signs: {}}")
    looked = []
    monkeypatch.setattr(world.state, "list_streams", lambda name: looked.append(name) or [])
    for _ in range(3):
        pass_minutes(world, 1)
    rounds = [looked[n : n + 3] for n in range(0, 9, 3)]
    assert {one[0] for one in rounds} == set(names)
    assert all(sorted(one) == names for one in rounds)


def test_captures_that_come_late_have_their_refusal_told_when_it_was_made_and_once():
    world = build_world(MONITORS.replace("mode: swap", "mode: 'off'"))
    world.now.move(timedelta(minutes=7))  # since the traffic of the finding
    event = build_event(build_finding())
    for _ in range(2):
        handle(manage_incident, event, world)
        Pump(world).run()
        world.now.move(timedelta(minutes=1))
    (incident,) = world.state.list_incidents()
    trail = [(one.what, one.at) for one in world.state.load_entries(incident.incident_id)]
    (refused,) = [at for what, at in trail if what == "diagnosis_off"]
    (opened,) = [at for what, at in trail if what == "incident_opened"]
    assert opened <= refused < NOW + timedelta(minutes=8)
