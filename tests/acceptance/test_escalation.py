"""Who hears only where nobody looks after an incident, and what keeps it waiting until somebody does."""

from __future__ import annotations

import pytest

from tests.acceptance.test_explained import read_trail

ESCALATING = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}}
  boss: {pagerduty: {key: "secret:sagewatch/pagerduty"}}
routes:
  receiver: on-call
  escalate: [{after: 30m, receiver: boss}]
"""
PAGER = "boss/pagerduty"
WAITING = ESCALATING + "  group_wait: 10m\n"


def play_paged(story, until="20h"):
    """What the pager was told."""
    story.play_only(until)
    return [one.kind for one in story.ears.heard if one.target == PAGER]


def test_who_acknowledges_while_an_escalation_waits_for_company_stops_it(tell):
    story = tell(WAITING)
    story.at("1m").raises("stop")
    story.at("33m").acknowledges("stop", by="ada")
    assert play_paged(story, "5h") == []
    assert "It need not begin to hear of it: somebody looks after it [escalation_stopped]." in read_trail(
        story, "stop"
    )
    story.at("10h").clears("stop")
    assert play_paged(story) == []
    told = read_trail(story, "stop")
    assert f"{PAGER} was told nothing: it was over before it was to hear of it." in told
    assert "somebody looked after it, or it was over, before the escalation was told" in told
    assert story.world.alerts.list_due() == []


def test_who_acknowledges_what_would_join_an_escalated_message_keeps_it_out(tell):
    story = tell(ESCALATING)
    story.at("0m").raises("stop")
    story.at("1m").raises("yield")  # due at 31m, and kept back by the group's interval until 35m
    story.at("32m").acknowledges("yield", by="ada")
    story.at("3h").clears("yield")
    story.at("3h").clears("stop")
    assert play_paged(story) == ["trigger", "resolve"]
    assert not any("yield" in text for text in story.texts(PAGER))


def test_who_acknowledges_while_the_escalation_is_silenced_stops_it(tell):
    story = tell(ESCALATING)
    story.at("1m").raises("stop")
    story.at("10m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("1h").acknowledges("stop", by="ada")
    story.at("10h").clears("stop")
    assert play_paged(story) == []


@pytest.mark.parametrize("ends", ["acknowledged", "over"])
def test_an_escalation_whose_receiver_was_down_meanwhile_is_no_more_when_it_is_back(tell, ends):
    story = tell(ESCALATING)
    story.at("0s").goes_down(PAGER, back="3h")
    story.at("1m").raises("stop")
    if ends == "acknowledged":
        story.at("1h").acknowledges("stop", by="ada")
    story.at("5h" if ends == "acknowledged" else "1h").clears("stop")
    assert play_paged(story) == []
    assert story.world.alerts.list_due() == []


def test_who_was_paged_hears_the_rest_whoever_acknowledges(tell):
    story = tell(ESCALATING)
    story.at("1m").raises("stop")
    story.at("1h").acknowledges("stop", by="ada")
    story.at("2h").clears("stop")
    assert play_paged(story) == ["trigger", "acknowledge", "resolve"]


def test_who_may_have_been_paged_hears_that_somebody_acknowledged(tell):
    story = tell(ESCALATING)
    story.at("30m").loses_answers(PAGER, times=1)
    story.at("1m").raises("stop")
    story.at("31m20s").acknowledges("stop", by="ada")
    story.at("2h").clears("stop")
    assert play_paged(story) == ["trigger", "trigger", "acknowledge", "resolve"]


def test_who_may_have_been_paged_of_what_is_over_hears_the_end_alone(tell):
    story = tell(ESCALATING)
    story.at("30m").loses_answers(PAGER, times=1)
    story.at("1m").raises("stop")
    story.at("31m20s").clears("stop")
    assert play_paged(story) == ["trigger", "resolve"]
