"""When nobody is told: silences, inhibition, maintenance windows, detectors on trial."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner

from sagewatch.cli.explain import explain
from sagewatch.cli.store import Store
from sagewatch.errors import RejectedInputError
from tests.acceptance.conftest import MONITORS
from tests.acceptance.language import START

INHIBITED = (
    MONITORS
    + """
inhibit:
  - {when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}
"""
)
WINDOWS = (
    MONITORS
    + """
windows:
  release: {mutes: ["endpoint=signs"], every: "Mon 13:00-14:00 Europe/Berlin"}
"""
)  # the story begins on a Monday at 12:00 UTC, which is 13:00 in Berlin


def test_a_silenced_incident_is_told_to_nobody(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="load test")
    story.at("1m").raises("stop")
    story.at("30m").clears("stop")
    story.ends("3h")


def test_what_is_still_open_when_the_silence_ends_is_told_then(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="load test")
    story.at("1m").raises("stop")
    story.expect_all("firing", "1h", "1h1m")
    story.ends("2h")


def test_a_resolve_is_owed_even_if_the_incident_was_silenced_meanwhile(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("5m").silences("endpoint=signs", length="10h", by="ada", reason="known")
    story.at("6m").raises("yield")
    story.at("20m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "20m")
    story.ends("5h")


def test_what_a_diagnosis_finds_after_the_end_waits_for_the_end_of_the_silence(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1m").silences("endpoint=signs", length="1h", by="ada", reason="known")
    story.at("2m").clears("stop")
    story.at("10m").diagnoses("stop", "finished")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "2m")
    story.expect("on-call/slack", "resolved", "1h1m", "1h2m")  # changed in place: a green message stays green
    story.ends("3h")


def test_nothing_is_repeated_while_it_is_silenced(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1h").silences("endpoint=signs", length="9h", by="ada", reason="known")
    story.expect_all("firing", "0s")
    story.expect_all("repeated", "10h", "10h1m")
    story.ends("11h")


def test_what_is_silenced_is_left_out_of_the_message_that_it_shares(tell):
    """Neither its news nor a reminder of it comes by way of its company; the end of both is told."""
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").raises("yield", severity="warning")
    story.at("30m").silences("subject=stop", length="9h", by="ada", reason="known")
    story.at("40m").diagnoses("stop", "observing")
    story.at("50m").acknowledges("stop", by="bo")
    story.at("9h40m").clears("yield")
    story.at("9h50m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/mail", "firing", "10m", contains="and 1 more")
    story.expect("on-call/slack", "updated", "10m", contains="and 1 more")
    for hour in (4, 8):
        story.expect("on-call/slack", "repeated", f"{hour}h", contains="Class yield takes")
        story.expect("on-call/mail", "repeated", f"{hour}h10m", contains="Class yield takes")
    story.expect("on-call/slack", "updated", "40m", "41m", contains="Class yield takes")
    story.expect("on-call/slack", "updated", "9h30m", "9h31m", contains="and 1 more")
    story.expect("on-call/slack", "updated", "9h40m", "9h41m")
    story.expect_all("resolved", "9h50m", contains="and 1 more")
    story.ends("11h")
    told = [
        one
        for one in story.ears.heard
        if timedelta(minutes=30) <= one.at - START < timedelta(hours=9, minutes=30)
    ]
    assert told
    assert not any("stop" in one.text for one in told)


def test_a_silence_mutes_only_what_it_matches(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", "severity!=critical", length="1h", by="ada", reason="x")
    story.at("1m").raises("stop", severity="critical")
    story.at("2m").raises("leaves", endpoint="churn", severity="info")
    story.expect_all("firing", "1m")
    story.expect_all("firing", "2m")
    story.ends("30m")


def test_a_silence_that_is_ended_early_lets_speak_at_once(tell):
    story = tell()
    story.at("0s").silences("endpoint=~sig.*", length="9h", by="ada", reason="load test")
    story.at("1m").raises("stop")
    story.at("20m").ends_silences()
    story.expect_all("firing", "20m")
    story.ends("1h")


def test_a_silence_that_comes_again_every_week_mutes_only_then(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="30d", by="ada", reason="batch", every="Mon 12:00-13:00")
    story.at("10m").raises("stop")
    story.expect_all("firing", "1h", "1h1m")
    story.ends("2h")


def test_a_silence_that_begins_later_mutes_from_then_on(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", start="1h", length="1h", by="ada", reason="release")
    story.at("10m").raises("stop")
    story.at("1h10m").raises("yield")
    story.expect_all("firing", "10m")
    story.expect("on-call/mail", "firing", "2h", "2h1m", contains="and 1 more")
    story.expect("on-call/slack", "updated", "2h", "2h1m", contains="and 1 more")
    story.ends("3h")


def test_a_silence_that_is_ended_before_it_begins_mutes_nothing(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", start="1h", length="1h", by="ada", reason="release")
    story.at("30m").ends_silences()
    story.at("1h10m").raises("stop")
    story.expect_all("firing", "1h10m")
    story.ends("3h")


def test_a_silence_needs_an_author_and_a_reason(tell):
    for by, reason in (("", "x"), ("ada", " ")):
        story = tell()
        story.at("0s").silences("endpoint=signs", length="1h", by=by, reason=reason)
        with pytest.raises(RejectedInputError):
            story.ends("1m")


def test_what_another_incident_explains_is_not_told(tell):
    story = tell(INHIBITED)
    story.at("0s").raises("", kind="rejected")
    story.at("1m").raises("", kind="no-data", endpoint="signs")
    story.at("2m").raises("", kind="no-data", endpoint="churn")
    story.expect_all("firing", "0s")
    story.expect_all("firing", "2m", contains="churn")
    story.ends("30m")


def test_what_was_explained_is_told_when_its_explanation_is_over(tell):
    story = tell(INHIBITED)
    story.at("0s").raises("bad", kind="rejected")
    story.at("1m").raises("none", kind="no-data")
    story.at("10m").clears("bad")
    story.expect_all("firing", "0s", contains="cannot be read")
    story.expect_all("resolved", "10m")
    story.expect_all("firing", "10m", "12m", contains="No captures")
    story.ends("30m")


def test_a_window_mutes_and_what_is_still_open_is_told_at_its_end(tell):
    story = tell(WINDOWS)
    story.at("10m").raises("stop")
    story.at("20m").raises("leaves", endpoint="churn")
    story.expect_all("firing", "20m", contains="churn")
    story.expect_all("firing", "1h", "1h1m", contains="signs")
    story.ends("2h")


def test_after_a_window_nobody_hears_again_of_what_they_knew(tell):
    story = tell(MONITORS + 'windows: {late: {mutes: [], every: "Mon 12:30-13:00"}}')
    story.at("0s").raises("stop")
    story.expect_all("firing", "0s")
    story.ends("2h")


def test_what_came_and_went_in_a_window_is_told_to_nobody(tell):
    story = tell(WINDOWS)
    story.at("10m").raises("stop")
    story.at("40m").clears("stop")
    story.ends("3h")


def test_a_detector_on_trial_tells_nobody_until_it_is_promoted(tell):
    story = tell()
    story.at("0s").raises("stop", staged=True)
    story.at("10m").promotes("stop", by="ada")
    story.at("20m").clears("stop")
    story.expect_all("firing", "10m")
    story.expect_all("resolved", "20m")
    story.ends("1h")


CIRCLE = (
    MONITORS
    + """
inhibit:
  - {when: ["severity=critical"], mutes: ["severity=warning"]}
  - {when: ["kind=rejected"], mutes: ["kind=no-data"]}
"""
)


def test_of_incidents_that_explain_each_other_the_first_is_told(tell):
    """Unreadable records (a warning) explain that nothing comes (critical), which explains the warning."""
    story = tell(CIRCLE)
    story.at("1m").raises("none", kind="no-data", severity="critical")
    story.at("2m").raises("bad", kind="rejected", severity="warning")
    story.at("30m").clears("none")
    story.expect_all("firing", "1m", contains="No captures")
    story.expect_all("resolved", "30m")
    story.expect_all("firing", "30m", "31m", contains="cannot be read")
    story.ends("1h")


def test_a_circle_that_something_outside_explains_stays_silent(tell):
    story = tell(CIRCLE)
    story.at("0s").raises("bad", kind="rejected", severity="critical")
    story.at("1m").raises("none", kind="no-data", severity="critical")
    story.at("2m").raises("x", kind="rejected", severity="warning", endpoint="churn")
    story.expect_all("firing", "0s", contains="signs")
    story.ends("1h")


PAGED = MONITORS.replace("mail: {}", "mail: {}, pagerduty: {key: 'secret:sagewatch/pagerduty'}")


STORM = (
    MONITORS
    + """
routes: {receiver: on-call, group_by: [endpoint], group_wait: 30s}
inhibit:
  - {when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}
  - {when: ["kind=data-quality"], mutes: ["kind=no-data"], equal: [endpoint]}
"""
)


def test_a_thousand_findings_in_a_second_beside_an_inhibition_are_one_message(tell):
    story = tell(STORM)
    count = 1000 if story.is_fast else 100
    for number in range(count):
        story.at("0s").raises(f"feature_{number}", kind="data-quality", severity="warning")
    story.expect_all("firing", "30s", contains=f"and {count - 1} more")
    story.ends("45s")


def test_of_a_great_circle_the_first_is_told_and_nobody_waits_for_it(tell):
    story = tell(STORM)
    for number in range(100):
        story.at("1s").raises(f"feature_{number}", kind="data-quality", severity="warning")
    story.at("0s").raises("none", kind="no-data")
    story.expect_all("firing", "30s", contains="No captures")
    story.ends("45s")


def test_who_is_not_silenced_hears_the_end_although_its_company_is_silenced(tell):
    """The message ends with the last of those who may be heard; what still fires when its silence ends is told anew.

    Not so a page: it would say of both that they are over, and stays open until they are.
    """
    story = tell(PAGED)
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="3h", by="ada", reason="known")
    story.at("30m").clears("yield")
    story.at("4h").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/pagerduty", "trigger", "0s", contains='-1"')
    story.expect("on-call/mail", "firing", "10m", contains="and 1 more")
    story.expect("on-call/slack", "updated", "10m", contains="and 1 more")
    story.expect("on-call/pagerduty", "trigger", "10m")
    story.expect_all("resolved", "30m", contains="Class yield is back")
    story.expect_all("firing", "3h20m", "3h21m", contains="Class stop takes")
    story.expect("on-call/pagerduty", "trigger", "3h20m", "3h21m", contains='-1"')
    story.expect_all("resolved", "4h", contains="Class stop is back")
    story.expect("on-call/pagerduty", "resolve", "4h", contains='-1"')
    story.ends("6h")


def test_what_ends_silenced_after_its_message_has_ended_is_told_alone(tell):
    """Whoever was told that it fires is told once that it is over, silenced or not; nothing else is told meanwhile."""
    story = tell(PAGED)
    story.at("0s").raises("stop")
    story.at("10m").silences("subject=stop", length="7d", by="ada", reason="known")
    story.at("20m").raises("yield")
    story.at("30m").clears("yield")
    story.at("3h").clears("stop")
    story.expect(
        "on-call/slack", "resolved", "3h", contains="Class stop is back"
    )  # the message that told of it
    story.expect("on-call/mail", "resolved", "3h", contains="Class stop is back")
    story.expect("on-call/pagerduty", "resolve", "3h", contains='-1"')
    story.expect_all("firing", "0s")
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/mail", "firing", "20m", contains="Class yield takes")
    story.expect("on-call/slack", "updated", "20m", contains="Class yield takes")
    story.expect("on-call/pagerduty", "trigger", "20m")
    story.expect_all("resolved", "30m", contains="Class yield is back")
    story.ends("8d")
    assert not any("yield" in text for text in story.texts("on-call/mail")[-1:])
    ((_, handle, line),) = story.ears.threads[-1:]
    assert (handle, "Class stop is back" in line) == ("C1:1", True)
    debts = story.world.state.load_debts(story.find("stop"))
    assert {(debt.told, debt.told_at) for debt in debts} == {("resolved", START + timedelta(hours=3))}


def test_what_ends_silenced_while_another_message_fires_is_told_in_its_own(tell):
    """The end of the first message's goes into the thread of the first message; the second stays as it is."""
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="7d", by="ada", reason="known")
    story.at("30m").clears("yield")
    story.at("1h").raises("bus")
    story.at("2h").clears("stop")
    story.at("3h").clears("bus")
    story.expect_all("firing", "0s")
    story.expect("on-call/mail", "firing", "10m")
    story.expect("on-call/slack", "updated", "10m")
    story.expect_all("resolved", "30m", contains="Class yield is back")
    story.expect_all("firing", "1h", contains="Class bus takes")
    story.expect_all("resolved", "2h", contains="Class stop is back")
    story.expect_all("resolved", "3h", contains="Class bus is back")
    story.ends("5h")
    posted = [one for one in story.ears.heard if one.target == "on-call/slack"]
    assert "bus" not in posted[-2].text
    assert "stop" not in posted[-1].text
    handles = [handle for _, handle, _ in story.ears.threads]
    assert handles[0] == handles[1] == handles[2] != handles[3]


def test_a_newcomer_beside_what_is_silenced_and_was_left_behind_waits_to_the_second(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 30s}")
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="7d", by="ada", reason="known")
    story.at("30m").clears("yield")
    story.at("1h5s").raises("bus")
    story.expect_all("firing", "30s")
    story.expect("on-call/mail", "firing", "10m")
    story.expect("on-call/slack", "updated", "10m")
    story.expect_all("resolved", "30m", contains="Class yield is back")
    story.expect_all("firing", "1h35s", contains="Class bus takes")
    story.ends("2h")


def test_a_worse_one_does_not_wait_where_what_is_silenced_rose_unheard(tell):
    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").silences("subject=stop", length="9h", by="ada", reason="known")
    story.at("2m").raises("stop", severity="critical")
    story.at("2m10s").raises("bus", severity="info")
    story.at("3m").raises("yield", severity="critical")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "3m")
    story.expect("on-call/slack", "worsened", "3m", contains="Class yield takes")
    story.expect("on-call/mail", "firing", "3m", contains="Class yield takes")
    story.ends("30m")


def test_what_came_and_went_untold_does_not_end_the_message_of_what_is_silenced(tell):
    """Its own mails tell of it; a message that can change, and is about the silenced one alone, has it in its last word."""
    story = tell(PAGED)
    story.at("0s").raises("stop")
    story.at("1m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("2m").raises("yield")
    story.at("3m").clears("yield")
    story.at("4h30m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("on-call/pagerduty", "trigger", "0s", contains='-1"')
    story.expect("on-call/mail", "firing", "5m", contains="Class yield takes")
    story.expect("on-call/mail", "resolved", "5m", contains="Class yield is back")
    story.expect("on-call/slack", "updated", "2h1m", "2h2m", contains="Class stop takes")
    story.expect("on-call/mail", "firing", "2h1m", "2h2m", contains="Class stop takes")
    story.expect("on-call/pagerduty", "trigger", "2h1m", "2h2m", contains='-1"')
    story.expect("on-call/slack", "repeated", "4h", "4h1m", contains="Class stop takes")
    story.expect("on-call/pagerduty", "trigger", "4h", "4h1m", contains='-1"')
    story.expect_all("resolved", "4h30m")
    story.expect("on-call/pagerduty", "resolve", "4h30m", contains='-1"')
    story.ends("8h")


def test_explain_says_what_an_end_waits_for_and_until_when(tell):
    story = tell(PAGED)
    story.at("0s").raises("stop")
    story.at("1m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("2m").raises("yield")
    story.at("3m").clears("yield")
    story.play_only("10m")
    told = CliRunner().invoke(explain, [story.find("yield")], obj=Store(world=story.world, outputs={})).output
    assert "on-call/slack has been told nothing yet. It was over before it was told" in told
    assert "while another is muted until 2026-11-23 14:01" in told
    assert "[silenced]" in told


def test_a_lesser_one_that_joins_what_is_silenced_wakes_nobody_as_worse(tell):
    story = tell()
    story.at("0s").raises("stop", severity="critical")
    story.at("1m").silences("subject=stop", length="9h", by="ada", reason="known")
    story.at("2m").raises("yield", severity="info")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "5m", contains="Class yield takes")
    story.expect("on-call/mail", "firing", "5m", contains="Class yield takes")
    story.ends("1h")
