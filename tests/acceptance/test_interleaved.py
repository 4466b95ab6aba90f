"""Two Lambdas at once: whatever the second does between two calls of the first, the last word is the true one."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sagewatch.memory.items import MemoryItems
from tests.acceptance.fuse import Between
from tests.acceptance.language import START, Story

CHANNELS = {
    "pagerduty": '{pagerduty: {key: "secret:sagewatch/p"}}',
    "slack": '{slack: {channel: "#ml", token: "secret:sagewatch/s"}}',
    "mail": "{mail: {}}",
    "webhook": '{webhook: {url: "https://x.example/h", secret: "secret:sagewatch/w"}}',
}
LAST = {"pagerduty": "resolve"}


def play_between(channel, number, do):
    """A story in which something else happens before the nth call after a finding is raised, in the same second."""
    receivers = f"receivers:\n  on-call: {CHANNELS[channel]}\n"
    story = Story(MemoryItems(), f"version: 1\nendpoints: {{signs: {{}}}}\n{receivers}")

    ran = []

    def act():
        ran.append(story.clock.now - START < timedelta(seconds=2))
        moment = story.at(f"{int((story.clock.now - START).total_seconds())}s")
        do(moment)
        story.happenings.pop()[1]()

    story.at("1s").does(lambda told: Between(told, number, act))
    story.at("1s").raises("stop")
    story.play_only("20m")
    return story, ran == [True]


def play_all(channel, do):
    number, ran, played = 0, True, []
    while ran:
        number += 1
        story, ran = play_between(channel, number, do)
        if ran:
            played.append((number, story))
    assert number > 15
    return played


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_incident_that_ends_while_its_beginning_is_told_is_told_as_over(channel):
    for number, story in play_all(channel, lambda moment: moment.clears("stop")):
        kinds = [one.kind for one in story.ears.heard]
        if not kinds:
            continue  # it was over before anybody knew of it
        assert kinds[-1] == LAST.get(channel, "resolved"), (number, kinds)
        assert kinds.count(kinds[-1]) == 1, (number, kinds)
        assert story.world.alerts.list_due() == [], number
        for debt in story.world.state.load_debts(story.find("stop")):
            assert debt.told == "resolved", (number, debt)


def test_what_a_webhook_is_told_never_contradicts_the_incident_in_the_same_message():
    for number, story in play_all("webhook", lambda moment: moment.clears("stop")):
        for text in story.texts("on-call/webhook"):
            told = json.loads(text)
            assert (told["event"] == "resolved") <= (told["state"] == "resolved"), (number, told)


@pytest.mark.parametrize("channel", ["pagerduty", "slack"])
def test_an_acknowledgement_while_the_beginning_is_told_is_heard_after_it(channel):
    def acknowledge(moment):
        if moment.story.world.state.load_incident(moment.story.find("stop")) is not None:
            moment.acknowledges("stop", by="ada")
        else:
            moment.does(lambda story: None)

    for number, story in play_all(channel, acknowledge):
        kinds = [one.kind for one in story.ears.heard]
        assert kinds[0] == {"pagerduty": "trigger"}.get(channel, "firing"), (number, kinds)
        if story.world.state.load_incident(story.find("stop")).acknowledged_by:
            assert "ada" in story.ears.heard[-1].text or kinds[-1] == "acknowledge", (number, kinds)
