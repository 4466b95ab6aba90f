"""A summary of what comes and goes: whose it is, what it may have said, what it counts, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.acceptance.conftest import MONITORS
from tests.acceptance.ears import Killed
from tests.acceptance.language import START
from tests.acceptance.test_budget import BRIEF
from tests.acceptance.test_flapping import PAGED

ALONE = "\nroutes: {receiver: on-call, group_by: [incident]}\n"
BY_SEVERITY = "\nroutes: {receiver: on-call, group_by: [endpoint, severity]}\n"
PAGED_BRIEF = PAGED.replace("digest: 6h", "digest: 1h")
HOOKED = PAGED_BRIEF.replace(
    "pagerduty: {key: 'secret:sagewatch/pagerduty'}",
    "webhook: {url: 'https://example.com/x', secret: 'secret:sagewatch/hook'}",
)


def flap(story, times, *, stays=False, severities=("critical",)):
    """Five minutes long, every ten minutes; the last one may stay."""
    for number in range(times):
        story.at(f"{number * 10}m").raises("stop", severity=severities[number % len(severities)])
        if number < times - 1 or not stays:
            story.at(f"{number * 10 + 5}m").clears("stop")


def read_events(story):
    """When, what, and whether under the key of a summary; what each says."""
    events = [(one, json.loads(one.text)) for one in story.ears.heard]
    return [
        (str(one.at - START), one.kind, event.get("dedup_key", event.get("group")).endswith("-digest"))
        for one, event in events
    ]


PAIRS = [
    (f"0:{n * 10 + m:02}:00", kind, False) for n in range(3) for m, kind in ((0, "trigger"), (5, "resolve"))
]


@pytest.mark.parametrize("routes", [ALONE, BY_SEVERITY], ids=["alone", "by severity"])
def test_however_a_route_groups_there_is_one_summary_of_what_flaps(tell, routes):
    story = tell(BRIEF + routes)
    flap(story, 7)
    for number in range(3):
        story.expect_all("firing", f"{number * 10}m")
        story.expect_all("resolved", f"{number * 10 + 5}m")
    story.expect_all("digest", "30m", contains="comes and goes: 1")
    story.expect_all("digest", "1h30m", contains="comes and goes: 3")
    story.ends("8h")


def test_a_summary_is_of_all_severities(tell):
    story = tell(BRIEF + BY_SEVERITY)
    flap(story, 10, severities=["warning", "critical"])
    story.play_only("8h")
    summed = [
        one.at - START for one in story.ears.heard if one.kind == "digest" and one.target.endswith("mail")
    ]
    # Of what is critical each time is one of three; warnings are summed up from the third on.
    assert summed == [timedelta(minutes=40), timedelta(minutes=70), timedelta(minutes=130)]


def test_what_begins_to_flap_beside_another_is_summed_up_soon_and_a_crowd_in_one(tell):
    """Nobody who was told of it six times takes its silence for its end; and no message for each of a crowd."""
    story = tell(MONITORS + "flapping: {budget: 1, per: 1d, digest: 6h}")
    names = [f"sign-{number}" for number in range(4)]
    for name in names:
        story.at("0s").raises(name)
        story.at("5m").clears(name)
        story.at("20m").raises(name)
        story.at("25m").clears(name)
    story.play_only("8h")
    mails = [one for one in story.ears.heard if one.target == "on-call/mail" and one.kind == "digest"]
    assert [one.at - START for one in mails] == [timedelta(minutes=20), timedelta(minutes=25)]
    assert "comes and goes: 3 more times" in " ".join(mails[1].text.split())


def test_a_summary_whose_answer_was_lost_is_ended_though_it_ends_in_a_silence(tell):
    story = tell(PAGED)
    flap(story, 4, stays=True)
    story.at("29m59s").loses_answers("on-call/pagerduty", times=1)
    story.at("30m10s").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("30m20s").clears("stop")
    story.play_only("8h")
    assert read_events(story)[:7] == [*PAIRS, ("0:30:00", "trigger", True)]
    (end,) = read_events(story)[7:]
    assert end[1:] == ("resolve", True)
    assert story.world.alerts.list_due() == []
    assert [one.told for one in story.world.state.load_debts(story.find("stop"))] == ["digested"]


def test_a_summary_whose_sender_died_is_ended_though_it_ends_in_a_silence(tell):
    story = tell(PAGED)
    flap(story, 4, stays=True)
    post, killed = story.ears.post_hook, []

    def post_and_die(target, body, at):
        post(target, body, at)
        if body["dedup_key"].endswith("-digest") and not killed:
            killed.append(at)
            raise Killed

    story.ears.post_hook = post_and_die
    story.at("31m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("32m").clears("stop")
    story.play_only("8h")
    assert killed
    assert [event[1:] for event in read_events(story)[6:]] == [("trigger", True), ("resolve", True)]
    assert story.world.alerts.list_due() == []


def test_a_summary_whose_answer_was_lost_is_ended_after_an_outage_in_which_it_was_told_anew(tell):
    story = tell(PAGED_BRIEF)
    flap(story, 4, stays=True)
    story.at("29m59s").loses_answers("on-call/pagerduty", times=1)
    story.at("30m10s").goes_down("on-call/pagerduty", back="2h")
    story.at("4h").clears("stop")
    story.play_only("8h")
    events = read_events(story)[6:]
    assert events[0] == ("0:30:00", "trigger", True)
    assert [event[1:] for event in events[1:]] == [
        ("trigger", False), ("resolve", True), ("resolve", False)
    ]  # fmt: skip
    assert [event[0] for event in events[2:]] == ["4:00:00", "4:00:00"]
    assert story.world.alerts.list_due() == []


def test_a_summary_that_was_not_taken_has_no_end(tell):
    """Who refused it for sure is told of no end of it."""
    story = tell(PAGED)
    flap(story, 4)
    story.at("29m59s").throttles("on-call/pagerduty", times=1, retry_after=20)
    story.at("30m10s").silences("subject=stop", length="2h", by="ada", reason="known")
    story.play_only("8h")
    assert read_events(story) == PAIRS
    assert [one.told for one in story.world.state.load_debts(story.find("stop"))] == ["spared"]
    assert story.world.alerts.list_due() == []


@pytest.mark.parametrize("routes", ["", ALONE], ids=["grouped", "alone"])
def test_the_end_of_a_summary_names_what_it_counted_and_nothing_that_fires(tell, routes):
    story = tell(HOOKED + routes)
    flap(story, 4, stays=True)
    story.at("3h").clears("stop")
    story.play_only("8h")
    events = [json.loads(one.text) for one in story.ears.heard]
    ends = [one for one in events if one["reason"] == "digest_over"]
    assert [(one["incident_id"], one["state"]) for one in ends] == [(story.find("stop"), "resolved")]
    assert all(one["state"] == "resolved" for one in events if one["event"] == "resolved")
