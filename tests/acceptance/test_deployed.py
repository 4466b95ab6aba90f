"""A monitors.yml that is deployed while incidents are open: who was told hears of the end, and nobody else is told."""

from __future__ import annotations

import msgspec
import pytest

from tests.acceptance.conftest import MONITORS
from tests.acceptance.test_explained import read_trail
from tests.acceptance.test_flapping import PAGED

TEAMS = """
version: 1
endpoints: {signs: {}}
receivers:
  on-call: {mail: {}}
  night: {slack: {channel: "#night", token: "secret:sagewatch/slack"}}
routes:
  receiver: on-call
  routes: [{match: ["severity=critical"], receiver: night}]
"""
HANDED_OVER = TEAMS.replace("  receiver: on-call\n", "  receiver: night\n")


def put_on_trial(story):
    """The finding goes on, and its detector is on trial by now: as the detector tells it, one and the same finding."""
    known = story.known["stop"]
    end = known.window.end.replace(minute=known.window.end.minute + 1)
    window = msgspec.structs.replace(known.window, end=end)
    story.known["stop"] = msgspec.structs.replace(known, staged=True, window=window)
    story.report(story.known["stop"])


def test_who_was_told_hears_of_the_end_though_the_detector_is_on_trial_by_then(tell):
    story = tell(PAGED)
    story.at("1m").raises("stop")
    story.at("30m").does(put_on_trial)
    story.at("1h").clears("stop")
    story.expect("on-call/pagerduty", "trigger", "1m")
    story.expect("on-call/pagerduty", "resolve", "1h")
    story.ends("3h")
    assert "no_receiver" not in read_trail(story, "stop")
    assert story.world.alerts.list_due() == []


@pytest.mark.parametrize("how", ["it got worse", "routes were deployed"])
def test_whoever_was_not_told_yet_is_told_nothing_once_no_route_leads_there(tell, how):
    story = tell(TEAMS)
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="deploy")
    story.at("1m").raises("stop", severity="warning")
    if how == "it got worse":
        story.at("30m").raises("stop", severity="critical")
    else:
        story.at("30m").deploys(HANDED_OVER)
    story.at("2h").clears("stop")
    story.expect("night/slack", "firing", "1h", "1h1m")
    story.expect("night/slack", "resolved", "2h")
    trail = []
    story.at("90m").does(lambda told: trail.append(read_trail(told, "stop")))
    story.ends("8h")
    (told,) = trail
    assert "It need not begin to hear of it: no route leads to it any more [no_route_any_more]." in told
    assert "on-call/mail was told nothing: it was over before it was to hear of it." in read_trail(
        story, "stop"
    )
    assert story.world.alerts.list_due() == []


def test_a_route_that_was_taken_away_by_mistake_and_comes_back_leads_there_again(tell):
    story = tell(TEAMS)
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="deploy")
    story.at("1m").raises("stop", severity="warning")
    story.at("20m").deploys(HANDED_OVER)
    story.at("40m").deploys(TEAMS)
    story.at("2h").clears("stop")
    story.expect("on-call/mail", "firing", "1h", "1h1m")
    story.expect("on-call/mail", "resolved", "2h")
    story.ends("8h")


def test_who_was_told_hears_of_the_end_wherever_the_routes_lead_by_then(tell):
    story = tell(TEAMS)
    story.at("1m").raises("stop", severity="warning")
    story.at("20m").deploys(HANDED_OVER)
    story.at("2h").clears("stop")
    story.play_only("8h")
    mails = [one.kind for one in story.ears.heard if one.target == "on-call/mail"]
    assert mails == ["firing", "resolved"]


def test_what_is_over_is_not_promoted(tell):
    story = tell(MONITORS)
    story.at("1m").raises("stop", staged=True)
    story.at("1h").clears("stop")
    story.at("48h").promotes("stop", by="ada")
    story.ends("50h")


WITH_A_PAGER = MONITORS.replace(
    "receivers:",
    """routes:
  receiver: on-call
  routes: [{match: ["endpoint=signs"], receiver: on-call, continue: true}, {match: ["endpoint=signs"], receiver: pager}]
receivers:
  pager: {pagerduty: {key: "secret:x"}}""",
)


def test_a_new_receiver_hears_nothing_of_last_month_when_the_archive_is_replayed(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.at("20d").deploys(WITH_A_PAGER)
    story.at("21d").does(lambda one: one.report(one.known["stop"]))
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m")
    story.ends("22d")


PAGER_ALONE = """
version: 1
endpoints: {signs: {}}
routes: {receiver: on-call}
receivers:
  on-call: {pagerduty: {key: "secret:sagewatch/pd"}}
  other: {mail: {}}
"""
WITHOUT_IT = PAGER_ALONE.replace("receiver: on-call", "receiver: other").replace(
    '  on-call: {pagerduty: {key: "secret:sagewatch/pd"}}\n', ""
)


def paged(story):
    return [one.kind for one in story.ears.heard if one.target == "on-call/pagerduty"]


def test_a_receiver_that_is_named_again_hears_the_end_that_came_before_it_was_taken_out(tell):
    story = tell(PAGER_ALONE)
    story.at("0s").raises("stop")
    story.at("10m").goes_down("on-call/pagerduty", back="40m")
    story.at("12m").clears("stop")
    story.at("20m").deploys(WITHOUT_IT)
    story.at("2h").deploys(PAGER_ALONE)
    story.play_only("12h")
    assert paged(story) == ["trigger", "resolve"]
    assert story.world.alerts.list_due() == []


def test_a_receiver_that_is_named_again_hears_the_end_that_came_meanwhile(tell):
    story = tell(PAGER_ALONE)
    story.at("0s").raises("stop")
    story.at("10m").deploys(WITHOUT_IT)
    story.at("12m").clears("stop")
    story.at("2h").deploys(PAGER_ALONE)
    story.play_only("12h")
    assert paged(story) == ["trigger", "resolve"]
    assert story.world.alerts.list_due() == []


def test_a_receiver_that_is_never_named_again_is_forgotten(tell):
    story = tell(PAGER_ALONE)
    story.at("0s").raises("stop")
    story.at("10m").deploys(WITHOUT_IT)
    story.at("12m").clears("stop")
    story.play_only("30h")
    assert paged(story) == ["trigger"]
    assert story.world.alerts.list_due() == []
