"""An endpoint that was deployed to be watched and is never heard of: told once, and over with its first capture."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.errors import RetryError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.tick import tick
from sagewatch.incident.describe import describe
from tests.unit.flows.worlds import NOW, Pump, build_world

MONITORS = """
version: 1
endpoints:
  signs: {detectors: {no-data: {after: 2h}}}
receivers:
  ml-on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


@pytest.fixture
def world():
    return build_world(MONITORS)


def pass_time(world, minutes):
    world.now.move(timedelta(minutes=minutes))
    tick(Ticked(world.now()), world)


def subjects(world):
    Pump(world).run()
    return [subject for subject, _ in world.mail.mails]


def test_it_is_told_once_when_it_is_overdue_and_over_with_the_first_capture(world):
    for minutes in (1, 60, 59):
        pass_time(world, minutes)
    assert subjects(world) == []
    for minutes in (1, 1, 60):
        pass_time(world, minutes)
    assert subjects(world) == ["[FIRING] signs: No capture has ever arrived"]
    (listed,) = world.state.list_incidents()
    assert listed.opened_at == NOW + timedelta(hours=2, minutes=1)
    world.state.note_stream(Stream("signs", "AllTraffic"))
    pass_time(world, 1)
    pass_time(world, 1)
    assert subjects(world)[1:] == ["[RESOLVED] signs: The first capture has arrived"]


def test_an_endpoint_with_captures_is_expected_no_more(world):
    world.state.note_stream(Stream("signs", "AllTraffic"))
    pass_time(world, 1)
    pass_time(world, 600)
    assert world.state.load_expectation("signs") is None
    assert subjects(world) == []


def test_a_crash_between_telling_and_remembering_opens_one_incident(world):
    pass_time(world, 1)
    save = world.state.save_expectation

    def die(expected):
        raise RetryError("killed")

    world.state.save_expectation = die
    with pytest.raises(RetryError):
        pass_time(world, 120)
    world.state.save_expectation = save
    pass_time(world, 1)
    assert subjects(world) == ["[FIRING] signs: No capture has ever arrived"]
    assert len(world.state.list_incidents()) == 1


def test_its_words_say_what_to_check(world):
    pass_time(world, 1)
    pass_time(world, 121)
    Pump(world).run()
    (listed,) = world.state.list_incidents()
    words = describe(world.state.load_incident(listed.incident_id).latest, {})
    assert "data capture is on" in words.next_step
