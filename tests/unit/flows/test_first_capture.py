"""An endpoint that was deployed to be watched and is never heard of: told once, and over with its first capture."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from sagewatch.errors import RetryError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.tick import tick
from sagewatch.incident.describe import describe
from sagewatch.monitors import parse_monitors
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


def test_a_first_capture_that_waits_to_be_counted_is_no_missing_one():
    world = build_world(MONITORS)
    pass_time(world, 1)
    written = NOW + timedelta(minutes=60)
    old = NOW - timedelta(days=30)
    for variant, at in (("A", old), ("B", old), ("C", written)):
        name = f"{at:%Y/%m/%d/%H/%M-%S}-000-00000000-0000-4000-8000-000000000000.jsonl"
        world.objects.bodies["captures", f"capture/signs/{variant}/{name}"] = b""
    world.now.move(timedelta(hours=5))
    for _ in range(14):
        pass_time(world, 1)
    assert subjects(world) == []
    for _ in range(2):
        pass_time(world, 1)
    assert subjects(world) == ["[FIRING] signs: No capture has ever arrived"]


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


def test_where_nobody_asks_for_silence_any_more_what_was_told_ends_as_no_longer_judged_and_is_told_again_once_asked(
    world,
):
    for _ in range(2):
        pass_time(world, 121)
    assert subjects(world) == ["[FIRING] signs: No capture has ever arrived"]
    watched = world.monitors
    without = parse_monitors(MONITORS.replace("no-data: {after: 2h}", "rejected: {}"), "monitors.yml")
    world = dataclasses.replace(world, monitors=without)
    for _ in range(3):
        pass_time(world, 1)
    assert subjects(world)[1:] == ["[NO LONGER JUDGED] signs: No capture has ever arrived"]
    world = dataclasses.replace(world, monitors=watched)
    for _ in range(2):
        pass_time(world, 121)
    assert subjects(world)[2:] == ["[FIRING] signs: No capture has ever arrived"]


def test_a_first_capture_that_came_while_nobody_asked_is_an_end_by_evidence(world):
    for _ in range(2):
        pass_time(world, 121)
    without = parse_monitors(MONITORS.replace("no-data: {after: 2h}", "rejected: {}"), "monitors.yml")
    world = dataclasses.replace(world, monitors=without)
    world.state.note_stream(Stream("signs", "AllTraffic"))
    pass_time(world, 1)
    assert subjects(world)[1:] == ["[RESOLVED] signs: The first capture has arrived"]
