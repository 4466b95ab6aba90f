"""What was over before a mute began, and still waited for its word: the mute delays that word, and takes it from nobody."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from tests.acceptance.conftest import MONITORS
from tests.acceptance.language import START, build_finding, read_time
from tests.acceptance.test_explained import read_trail
from tests.acceptance.test_flapping import BUDGET, PAGED
from tests.acceptance.test_summaries import flap

EXPLAINED = (
    MONITORS + '\ninhibit: [{when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}]\n'
)
SPARED = "over_while_muted"


@pytest.mark.parametrize("how", ["a window", "a silence"])
def test_what_waits_for_its_summary_is_summed_up_when_a_mute_that_began_later_ends(tell, how):
    """Four hours of a critical incident, over at 4:40, to be summed up at 6:30."""
    windows = '\nwindows: {night: {mutes: ["endpoint=signs"], every: "daily 18:00-19:00"}}'
    story = tell(BUDGET + (windows if how == "a window" else ""))
    flap(story, 4)
    story.at("40m").raises("stop")
    story.at("4h40m").clears("stop")
    if how == "a silence":
        story.at("5h").silences("endpoint=signs", length="2h", by="ada", reason="deploy")
    for number in range(3):
        story.expect_all("firing", f"{number * 10}m")
        story.expect_all("resolved", f"{number * 10 + 5}m")
    story.expect_all("digest", "30m")
    story.expect_all("digest", "7h", "7h1m", contains="comes and goes: 1")
    story.ends("20h")
    assert SPARED not in read_trail(story, "stop")
    assert story.world.alerts.list_due() == []


def test_what_a_receiver_that_was_down_is_owed_outlives_a_silence(tell):
    story = tell()
    story.at("0s").goes_down("on-call/mail", back="2h")
    story.at("1m").raises("stop")
    story.at("40m").clears("stop")
    story.at("50m").silences("endpoint=signs", length="3h", by="ada", reason="deploy")
    story.expect("on-call/slack", "firing", "1m")
    story.expect("on-call/slack", "resolved", "40m")
    story.expect("on-call/mail", "firing", "3h50m", "3h51m")
    story.expect("on-call/mail", "resolved", "3h50m", "3h51m")
    story.ends("20h")
    assert SPARED not in read_trail(story, "stop")
    assert story.world.alerts.list_due() == []


def test_what_a_silence_delays_is_told_at_once_when_somebody_ends_it(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 10m}")
    story.at("0s").raises("stop")
    story.at("5m").clears("stop")
    story.at("6m").silences("subject=stop", length="3h", by="ada", reason="deploy")
    story.at("13m30s").ends_silences()
    story.expect_all("firing", "13m30s", contains="It is over already")
    story.expect_all("resolved", "13m30s")
    story.ends("20m")


def test_what_waits_for_company_is_told_when_what_explains_it_since_is_over(tell):
    story = tell(EXPLAINED)
    story.at("0m").raises("yield", severity="warning")
    story.at("1m").raises("stop", severity="warning")
    story.at("2m").clears("stop")
    story.at("3m").raises("other", severity="critical", kind="confidence")
    story.at("1h").clears("other")
    story.at("2h").clears("yield")
    story.play_only("20h")
    mails = [(one.kind, one.at - story.at("0s").now) for one in story.ears.heard if "mail" in one.target]
    assert [(kind, str(at)) for kind, at in mails] == [
        ("firing", "0:00:00"),
        ("firing", "0:03:00"),
        ("resolved", "1:00:00"),
        ("firing", "1:00:00"),
        ("resolved", "2:00:00"),
    ]
    told = [
        one.text
        for one in story.ears.heard
        if "mail" in one.target and "Class stop" in " ".join(one.text.split())
    ]
    assert len(told) == 2
    assert SPARED not in read_trail(story, "stop")


def test_what_ends_muted_is_told_to_nobody_whatever_mutes_it_afterwards(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="known")
    story.at("1m").raises("stop")
    story.at("40m").clears("stop")
    story.at("50m").silences("endpoint=signs", length="3h", by="ada", reason="deploy")
    story.ends("20h")
    assert SPARED in read_trail(story, "stop")


def test_what_was_a_warning_when_it_ended_takes_no_word_by_becoming_critical(tell):
    """A class is over while it waits for company, and what explains it since was open then: as bad as it was itself."""
    story = tell(EXPLAINED)
    story.at("0m").raises("other", severity="warning", kind="confidence")
    story.at("0m").raises("yield", severity="warning")
    story.at("1m").raises("stop", severity="warning")
    story.at("2m").clears("stop")
    story.at("3m").raises("other", severity="critical", kind="confidence")
    story.at("1h").clears("other")
    story.at("2h").clears("yield")
    story.play_only("20h")
    told = [one for one in list_mails(story) if "Class stop" in " ".join(one.text.split())]
    assert [(one.kind, str(one.at - story.at("0s").now)) for one in told] == [
        ("firing", "1:00:00"),
        ("resolved", "2:00:00"),
    ]
    assert SPARED not in read_trail(story, "stop")


@pytest.mark.parametrize("change", ["what explains it rises", "a window is deployed"])
def test_what_waits_for_its_summary_outlives_a_mute_that_looks_older_than_it_is(tell, change):
    explained = BUDGET + EXPLAINED.removeprefix(MONITORS)
    story = tell(explained)
    story.at("0m").raises("other", severity="warning", kind="confidence")
    flap(story, 4, severities=("warning",))
    story.at("45m").raises("stop", severity="warning")
    story.at("4h").clears("stop")
    if change == "a window is deployed":
        window = 'windows: {day: {mutes: ["endpoint=signs"], every: "daily 13:00-19:00"}}\n'
        story.at("5h").deploys(explained + window)
    else:
        story.at("5h").raises("other", severity="critical", kind="confidence")
    story.at("7h").clears("other")
    story.play_only("8h")
    assert len([one for one in list_mails(story) if one.kind == "digest"]) == 2
    assert SPARED not in read_trail(story, "stop")


@pytest.mark.parametrize("order", [("none", "bad"), ("bad", "none")], ids=["explained first", "cause first"])
def test_what_was_explained_all_its_life_and_ends_with_its_cause_is_told_to_nobody(tell, order):
    """One fold of captures ends both: nobody is paged for what is over, and was never to be told."""
    rule = '\ninhibit: [{when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}]\n'
    story = tell(PAGED + rule)
    story.at("0s").raises("bad", kind="rejected")
    story.at("5m").raises("none", kind="no-data")

    story.at("30m").does(lambda told: end_all(told, order))
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/pagerduty", "resolve", "30m")
    story.ends("5h")
    assert SPARED in read_trail(story, "none")


def test_what_ended_silenced_is_told_to_nobody_though_word_of_its_end_comes_after_the_silence(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="30m", by="ada", reason="deploy")
    story.at("1m").raises("stop")

    story.at("29m30s").does(end_and_lose_the_event)
    story.ends("3h")
    assert SPARED in read_trail(story, "stop")


@pytest.mark.parametrize("waits", ["group_wait: 2h", "group_interval: 3h"])
def test_what_ended_muted_is_told_to_nobody_however_long_its_company_waits(tell, waits):
    story = tell(MONITORS + f"\nroutes: {{receiver: on-call, {waits}}}\n")
    story.at("0s").raises("yield")
    story.at("1m").silences("subject=stop", length="30m", by="ada", reason="known")
    story.at("2m").raises("stop")
    story.at("10m").raises("other")
    story.at("20m").clears("stop")
    story.play_only("3h30m")
    assert not [one for one in list_mails(story) if "Class stop" in " ".join(one.text.split())]
    assert SPARED in read_trail(story, "stop")


def test_what_is_held_for_hours_and_ended_with_its_cause_is_told_to_nobody(tell):
    rule = '\ninhibit: [{when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}]\n'
    story = tell(PAGED.replace("flapping: {", "flapping: {hold: 2h, ") + rule)
    story.at("0s").raises("bad", kind="rejected")
    story.at("5m").raises("none", kind="no-data")
    story.at("30m").does(lambda told: end_all(told, ["none", "bad"]))
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/pagerduty", "trigger", "30m")  # the evidence of what is told is away
    story.expect("on-call/pagerduty", "resolve", "2h30m", "2h31m")
    story.ends("5h")


def test_what_ended_muted_with_its_cause_uses_up_nothing_of_the_budget(tell):
    rule = '\ninhibit: [{when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}]\n'
    story = tell(BUDGET + rule)
    for number in range(3):
        story.at(f"{number * 10}m").raises("bad", kind="rejected", severity="warning")
        story.at(f"{number * 10 + 2}m").raises("none", kind="no-data")
        story.at(f"{number * 10 + 5}m").does(lambda told: end_all(told, ["bad", "none"]))
    story.at("1h").raises("none", kind="no-data")
    story.play_only("61m")
    last = list_mails(story)[-1]
    assert (last.kind, str(last.at - story.at("0s").now)) == ("firing", "1:00:00")


def test_what_is_heard_of_with_its_end_first_and_explains_what_explains_it_is_told(tell):
    """A circle of explanations, of which the earliest is told: also where it begins and ends in one write."""
    rules = (
        "\ninhibit:\n"
        '  - {when: ["kind=rejected"], mutes: ["kind=confidence"], equal: [endpoint]}\n'
        '  - {when: ["kind=confidence"], mutes: ["kind=rejected"], equal: [endpoint]}\n'
    )
    story = tell(MONITORS + rules)
    begun = []

    def hear_the_end_first(told):
        raised = begun[0]
        told.report(msgspec.structs.replace(raised, cleared_at=told.clock.now))
        told.report(raised)

    def remember(told):
        episode = build_finding("bad", 1, told.clock.now, "critical", "rejected", "signs")
        begun.append(episode)

    story.at("0s").does(remember)
    story.at("1m").raises("other", kind="confidence")
    story.at("3m").does(hear_the_end_first)
    story.at("5m").clears("other")
    story.play_only("1h")
    told = [(one.kind, " ".join(one.text.split())) for one in list_mails(story)]
    assert any(kind == "firing" and "cannot be read" in text for kind, text in told)
    assert any(kind == "resolved" and "can be read again" in text for kind, text in told)


def end_and_lose_the_event(story):
    end_all(story, ["stop"])
    story._take_events()


def end_all(story, names):
    """In one fold, and heard of afterwards."""
    for name in names:
        story.known[name] = msgspec.structs.replace(story.known[name], cleared_at=story.clock.now)
        story.report(story.known[name])


def test_what_rises_between_an_end_and_the_word_of_it_takes_nothing_from_anybody(tell):
    story = tell(EXPLAINED)
    story.at("0m").raises("other", severity="warning", kind="confidence")
    story.at("1m").raises("stop", severity="warning")

    story.at("2m10s").does(end_and_lose_the_event)
    story.at("2m40s").raises("other", severity="critical", kind="confidence")
    story.at("1h").clears("other")
    story.play_only("20h")
    told = [one.kind for one in list_mails(story) if "Class stop" in " ".join(one.text.split())]
    assert told == ["firing", "resolved"]


def test_what_ended_silenced_is_told_to_nobody_though_nothing_was_delivered_for_hours(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="30m", by="ada", reason="deploy")
    story.at("1m").raises("stop")

    def end_and_fall_silent(told):
        end_and_lose_the_event(told)
        incident = told.world.state.load_incident(told.find("stop"))
        told.world.alerts.save_due(incident, told.clock.now + timedelta(hours=3), told.clock.now)

    story.at("20m").does(end_and_fall_silent)
    story.ends("5h")
    assert SPARED in read_trail(story, "stop")


def test_explain_says_what_keeps_the_word_of_what_was_over_before_the_mute_began(tell):
    story = tell()
    story.at("0s").goes_down("on-call/mail", back="2h")
    story.at("1m").raises("stop")
    story.at("40m").clears("stop")
    story.at("50m").silences("endpoint=signs", length="3h", by="ada", reason="deploy")
    story.play_only("3h")
    (waits,) = [line for line in read_trail(story, "stop").split("  ") if "before it was muted" in line]
    assert "until 2026-11-23 15:50:00 UTC; that it fired, and ended, is told after that [silenced]." in waits


def list_mails(story):
    return [one for one in story.ears.heard if one.target == "on-call/mail"]


@pytest.mark.parametrize("late", ["1h50m", "3h", "13d"])
def test_what_came_and_went_in_a_silence_is_told_to_nobody_however_late_word_of_it_comes(tell, late):
    """A queue stood still, and brings the end first."""
    story = tell(PAGED)
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="deploy")
    hear_late(story, late, raised="10m", cleared="30m")
    story.ends("14d")


def test_what_was_over_after_a_silence_that_was_ended_by_hand_is_told_however_late(tell):
    """The silence was to last until then: what is past counts as it was, not as it was to be."""
    story = tell()
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="deploy")
    story.at("20m").ends_silences()
    hear_late(story, "3h", raised="10m", cleared="30m")
    story.expect_all("firing", "3h", contains="It is over already")
    story.expect_all("resolved", "3h")
    story.ends("5h")


def hear_late(story, late, *, raised, cleared):
    """Word of an episode comes all at once, its end first."""
    begun = build_finding("stop", 1, START + read_time(raised), "critical", "class-concentration", "signs")
    for one in (msgspec.structs.replace(begun, cleared_at=START + read_time(cleared)), begun):
        story.at(late).does(lambda told, finding=one: told.report(finding))
