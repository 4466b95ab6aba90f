"""What comes and goes: held together, budgeted, summed up."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec

from sagewatch.finding import Severity
from sagewatch.incident.model import State
from tests.acceptance.conftest import MONITORS
from tests.acceptance.language import START, build_finding

HELD = MONITORS + "flapping: {hold: 5m}"
BUDGET = MONITORS + "flapping: {budget: 3, per: 1d, digest: 6h}"
PAGED = BUDGET.replace(
    'slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}',
    "pagerduty: {key: 'secret:sagewatch/pagerduty'}",
)


def test_what_comes_back_before_the_hold_is_over_is_one_incident(tell):
    story = tell(HELD)
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.at("13m").raises("stop")
    story.at("20m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "10m", "20m")
    story.expect("on-call/slack", "updated", "10m", "20m")
    story.expect("on-call/slack", "updated", "10m", "20m")
    story.expect_all("resolved", "25m", "26m")
    story.ends("1h")


def test_an_incident_ends_when_its_evidence_went_not_when_the_hold_was_over(tell):
    story = tell(HELD)
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "10m")
    story.expect_all("resolved", "15m", "16m", contains="12:10:00")
    story.ends("1h")


def test_beyond_the_budget_it_is_summed_up(tell):
    story = tell(BUDGET)
    for number in range(8):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop")
    for number in range(3):
        story.expect_all("firing", f"{number * 10}m")
        story.expect_all("resolved", f"{number * 10 + 5}m")
    story.expect_all("digest", "30m", contains="comes and goes: 1")
    story.expect_all("digest", "6h30m", "6h46m", contains="comes and goes: 4")
    story.ends("20h")


def test_a_summary_that_a_channel_keeps_open_is_ended_even_if_it_is_silenced_meanwhile(tell):
    """PagerDuty would page for a summary until somebody closed it by hand."""
    story = tell(PAGED)
    for number in range(6):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop")
    story.at("32m").silences("endpoint=signs", length="20m", by="ada", reason="known")
    story.play_only("20h")
    keys = [json.loads(one.text)["dedup_key"] for one in story.ears.heard]
    kinds = [one.kind for one in story.ears.heard]
    assert kinds == ["trigger", "resolve"] * 5
    assert keys[6:] == [keys[6]] * 4
    assert keys[6].endswith("-digest")
    assert [one.at - START for one in story.ears.heard][6:8] == [timedelta(minutes=30), timedelta(minutes=35)]


def test_the_end_of_a_summary_waits_for_a_channel_that_is_down(tell):
    story = tell(PAGED)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop")
    story.at("34m").goes_down("on-call/pagerduty", back="3h")
    for number in range(3):
        story.expect("on-call/pagerduty", "trigger", f"{number * 10}m")
        story.expect("on-call/pagerduty", "resolve", f"{number * 10 + 5}m")
    story.expect("on-call/pagerduty", "trigger", "30m", contains="digest")
    story.expect("on-call/pagerduty", "resolve", "3h", "3h16m", contains="digest")
    story.ends("20h")


def test_the_summary_of_what_is_told_anew_is_ended(tell):
    """It stayed, and has a page of its own: the summary's would stay open for ever."""
    story = tell(PAGED)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop") if number < 3 else None
    story.at("8h").clears("stop")
    story.play_only("20h")
    pages = [json.loads(one.text) for one in story.ears.heard][6:]
    told = [(one["event_action"], one["dedup_key"].endswith("-digest")) for one in pages]
    assert told == [("trigger", True), ("trigger", False), ("resolve", True), ("resolve", False)]
    assert story.world.alerts.list_due() == []


def test_a_summary_of_what_somebody_acknowledged_pages(tell):
    """PagerDuty drops an acknowledgement of what was never triggered: nobody would hear of it."""
    story = tell(PAGED)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop") if number < 3 else None
    story.at("25m").silences("endpoint=signs", length="10m", by="ada", reason="known")
    story.at("32m").acknowledges("stop", by="ada")
    story.play_only("1h")
    last = json.loads(story.ears.heard[-1].text)
    assert (last["event_action"], last["dedup_key"].endswith("-digest")) == ("trigger", True)


def test_what_stays_open_is_told_even_if_it_flapped_before(tell):
    story = tell(BUDGET)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop") if number < 3 else None
        if number < 3:
            story.expect_all("firing", f"{number * 10}m")
            story.expect_all("resolved", f"{number * 10 + 5}m")
    story.expect_all("digest", "30m")
    story.expect_all("firing", "6h30m", "6h46m")
    story.at("8h").clears("stop")
    story.expect_all("resolved", "8h")
    story.ends("9h")


def test_the_budget_is_each_fingerprints_own(tell):
    story = tell(BUDGET)
    for number in range(6):
        story.at(f"{number * 10}m").raises(f"sign-{number}")
        story.at(f"{number * 10 + 5}m").clears(f"sign-{number}")
        story.expect_all("firing", f"{number * 10}m")
        story.expect_all("resolved", f"{number * 10 + 5}m")
    story.ends("9h")


def test_what_flapped_and_stays_may_wait_with_a_group_that_was_just_told(tell):
    story = tell(MONITORS + "flapping: {budget: 2, per: 1d, digest: 6h}\n")
    for number in range(5):
        story.at(f"{number * 10}m").raises("stop")
        if number < 4:
            story.at(f"{number * 10 + 5}m").clears("stop")
    story.at("398m").raises("yield")  # its message is minutes old when the summary's six hours are over
    story.play_only("9h")
    told = [heard for heard in story.ears.heard if heard.at >= START + timedelta(minutes=400)]
    assert any("stop" in heard.text for heard in told)


def test_what_is_on_trial_ends_after_the_hold(tell):
    """Nobody hears of it, and so nothing but the hold would bring anybody to look at it again."""
    story = tell(HELD)
    story.at("0s").raises("stop", staged=True, severity="critical")
    story.at("10m").clears("stop")
    story.ends("2h")
    ended = story.world.state.load_incident(story.find("stop"))
    assert (ended.state, ended.resolved_at) == (State.RESOLVED, START + timedelta(minutes=10))


def test_a_warning_after_a_trial_is_told_as_what_it_is(tell):
    story = tell(HELD)
    story.at("0s").raises("stop", staged=True, severity="critical")
    story.at("10m").clears("stop")
    story.at("3d").raises("stop", severity="warning")
    story.expect_all("firing", "3d", contains="warning")
    story.ends("3d3h")


def test_what_begins_after_the_hold_is_another_incident_though_no_tick_came_between(tell):
    story = tell(HELD)
    story.at("0s").raises("stop")
    story.at("10m10s").clears("stop")
    story.at("15m30s").raises("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "10m10s")
    story.expect_all("resolved", "15m30s", contains="12:10:10")
    story.expect_all("firing", "15m30s", "16m")
    story.ends("1h")


def test_what_comes_back_is_one_incident_though_the_first_end_came_before_its_beginning(tell):
    story = tell(HELD)
    begun = build_finding("stop", 0, START + timedelta(minutes=9), "critical", "class-concentration", "signs")
    for one in (msgspec.structs.replace(begun, cleared_at=START + timedelta(minutes=10)), begun):
        story.at("10m").does(lambda told, finding=one: told.report(finding))
    story.at("13m").raises("stop")
    story.at("20m").clears("stop")
    story.expect_all("firing", "13m", "14m")
    story.expect("on-call/slack", "updated", "20m")
    story.expect_all("resolved", "25m", "26m", contains="12:20:00")
    story.ends("1h")
    assert len(story.world.state.list_incidents()) == 1


def test_what_came_and_went_before_anybody_heard_is_told_once_it_has_stayed_away(tell):
    story = tell(HELD)
    begun = build_finding("stop", 0, START + timedelta(minutes=9), "critical", "class-concentration", "signs")
    for one in (msgspec.structs.replace(begun, cleared_at=START + timedelta(minutes=10)), begun):
        story.at("10m").does(lambda told, finding=one: told.report(finding))
    story.expect_all("firing", "15m", "16m", contains="It is over already")
    story.expect_all("resolved", "15m", "16m", contains="12:10:00")
    story.ends("1h")


PATIENT = """
version: 1
endpoints: {signs: {}}
receivers:
  on-call: {pagerduty: {key: "secret:sagewatch/pd"}, mail: {}}
flapping: {hold: 30m}
"""
EXPLAINED = PATIENT + "inhibit: [{when: [kind=rejected], mutes: [kind=no-data], equal: [endpoint]}]\n"
IN_A_WINDOW = PATIENT + 'windows: {release: {mutes: ["endpoint=signs"], every: "Mon 12:00-12:20"}}\n'
ESCALATED = PATIENT.replace(
    "receivers:",
    """routes: {receiver: on-call, repeat_interval: 15m, escalate: [{after: 20m, receiver: boss}]}
receivers:
  boss: {webhook: {url: "https://x/y", secret: "secret:sagewatch/w"}}""",
)


def test_what_came_and_went_in_a_silence_is_told_to_nobody(tell):
    story = tell(PATIENT)
    story.at("0s").silences("endpoint=signs", length="20m", by="ada", reason="maintenance")
    story.at("1m").raises("stop")
    story.at("10m").clears("stop")
    story.ends("5h")


def test_what_came_and_went_in_a_maintenance_window_is_told_to_nobody(tell):
    story = tell(IN_A_WINDOW)
    story.at("1m").raises("stop")
    story.at("10m").clears("stop")
    story.ends("5h")


def test_what_another_explained_all_its_life_is_told_to_nobody(tell):
    story = tell(EXPLAINED)
    story.at("0s").raises("bad", kind="rejected")
    story.at("5m").raises("none", kind="no-data", severity="warning")
    story.at("10m").clears("bad")
    story.at("15m").clears("none")
    for target, begin, end in (
        ("on-call/mail", "firing", "resolved"),
        ("on-call/pagerduty", "trigger", "resolve"),
    ):
        story.expect(target, begin, "0s")
        story.expect(target, end, "40m")
    story.expect("on-call/pagerduty", "trigger", "10m")
    story.ends("5h")


def test_nobody_is_woken_or_reminded_while_nobody_knows_whether_it_goes_on(tell):
    story = tell(ESCALATED)
    story.at("0s").raises("stop")
    story.at("5m").clears("stop")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/pagerduty", "trigger", "5m")
    story.expect("on-call/mail", "resolved", "35m")
    story.expect("on-call/pagerduty", "resolve", "35m")
    story.ends("3h")


def test_what_comes_back_escalates_and_is_spoken_of_again(tell):
    story = tell(ESCALATED)
    story.at("0s").raises("stop")
    story.at("5m").clears("stop")
    story.at("25m").raises("stop")
    story.play_only("26m")
    assert "Away" in next(one.text for one in story.ears.heard if one.at > START + timedelta(minutes=4))
    assert [one.kind for one in story.ears.heard if one.target == "boss/webhook"] == ["firing"]
    assert [one.kind for one in story.ears.heard if one.target == "on-call/mail"] == ["firing", "repeated"]


def test_nobody_is_reminded_of_what_is_away_by_what_somebody_looks_after(tell):
    """What goes on was acknowledged, and has a day; what nobody looks after is away."""
    story = tell(PATIENT + "routes: {receiver: on-call, repeat_interval: 20m}\n")
    story.at("0s").raises("stop")
    story.at("0s").raises("yield")
    story.at("1m").acknowledges("yield", by="ada")
    story.at("10m").clears("stop")
    story.play_only("35m")
    assert "repeated" not in {one.kind for one in story.ears.heard}


def test_what_was_worse_than_was_told_and_is_away_wakes_nobody_before_it_comes_back(tell):
    """Word that it got worse comes with word that it is away: the former was late."""
    story = tell(PATIENT)
    story.at("0s").raises("stop", severity="warning")
    story.at("10m").does(
        lambda one: one.known.update(
            stop=msgspec.structs.replace(one.known["stop"], severity=Severity.CRITICAL)
        )
    )
    story.at("10m").clears("stop")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/pagerduty", "trigger", "10m")
    story.expect("on-call/mail", "resolved", "40m")
    story.expect("on-call/pagerduty", "resolve", "40m")
    story.ends("3h")


def test_what_was_summed_up_does_not_begin_by_itself_while_it_is_away(tell):
    story = tell(PATIENT.replace("{hold: 30m}", "{hold: 30m, budget: 1, per: 1d, digest: 2h}"))
    story.at("0s").raises("stop")
    story.at("1m").clears("stop")
    story.at("40m").raises("stop")
    story.at("2h30m").clears("stop")
    story.play_only("6h")
    told = [one.kind for one in story.ears.heard if one.target == "on-call/mail"]
    assert told == ["firing", "resolved", "digest"]


def test_what_is_on_trial_makes_nothing_worse_that_people_were_told_of(tell):
    story = tell(PATIENT)
    story.at("0s").raises("stop", severity="warning")
    story.at("5m").acknowledges("stop", by="ada")
    story.at("10m").clears("stop")
    story.at("20m").raises("stop", severity="critical", staged=True)
    story.play_only("25m")
    assert "worsened" not in {one.kind for one in story.ears.heard}
    incident = story.world.state.load_incident(
        story.world.state.load_open(story.known["stop"].fingerprint).incident_id
    )
    assert (incident.state, incident.severity) == (State.ACKNOWLEDGED, Severity.WARNING)


def test_what_rises_while_it_is_away_takes_its_word_from_nobody(tell):
    """Its mail waits for a receiver that is down; what explains by being critical was not critical when it ended."""
    story = tell(
        PATIENT + "inhibit: [{when: [severity=critical], mutes: [severity=warning], equal: [endpoint]}]\n"
    )
    story.at("0s").goes_down("on-call/mail", back="30s")
    story.at("1s").raises("yield", severity="warning")
    story.at("1s").raises("stop", severity="warning", kind="rejected")
    story.at("2s").clears("stop")
    story.at("3s").raises("yield", severity="critical")
    story.at("4s").clears("yield")
    story.play_only("6h")
    told = [one.kind for one in story.ears.heard if one.target == "on-call/mail" and "be read" in one.text]
    assert told == ["firing", "resolved"]


def test_what_goes_on_speaks_before_what_is_away(tell):
    """A worse one joins; of the two the one that is away is as bad by now, and older."""
    story = tell(PATIENT)
    story.at("0s").raises("yield", severity="warning")
    worse = {"severity": Severity.CRITICAL}
    story.at("1m").does(
        lambda one: one.known.update({"yield": msgspec.structs.replace(one.known["yield"], **worse)})
    )
    story.at("1m").clears("yield")
    story.at("2m").raises("stop", severity="critical")
    story.play_only("3m")
    [_, joined] = [one.text for one in story.ears.heard if one.target == "on-call/mail"]
    assert joined.startswith("[FIRING] signs: Class stop")


def test_what_got_worse_as_it_went_away_is_told_as_worse_once_it_is_back(tell):
    """A message about its company names it meanwhile, and says nothing of that."""
    story = tell(
        PATIENT.replace("receivers:", "routes: {receiver: on-call, group_by: [endpoint]}\nreceivers:")
    )
    story.at("0s").raises("stop", severity="warning")
    story.at("59m").does(
        lambda one: one.known.update(
            stop=msgspec.structs.replace(one.known["stop"], severity=Severity.CRITICAL)
        )
    )
    story.at("1h").clears("stop")
    story.at("1h10m").raises("yield", severity="warning")
    story.at("1h20m").raises("stop", severity="critical")
    story.play_only("1h25m")
    mails = [(one.at - START, one.kind) for one in story.ears.heard if one.target == "on-call/mail"]
    assert mails[-1] == (timedelta(hours=1, minutes=20), "worsened")
