"""One incident, from beginning to end, whatever happens on the way."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec

from sagewatch.finding import Window
from sagewatch.ports import ANY_VERSION, Write
from tests.acceptance.language import START


def test_one_finding_is_told_once_and_resolved_once(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m")
    story.ends("1h")


def test_what_comes_three_times_is_told_once(tell):
    story = tell()
    story.at("0s").raises("stop", times=3)
    story.at("10m").clears("stop", times=3)
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m")
    story.ends("1h")


def test_growing_evidence_is_no_news(tell):
    story = tell()
    story.at("0s").raises("stop")
    for minute in range(1, 10):
        story.at(f"{minute}m").raises("stop")
    story.expect_all("firing", "0s")
    story.ends("20m")


def test_what_lasts_is_repeated_with_the_evidence_of_now(tell):
    story = tell()
    story.at("0s").raises("stop")
    begun = START - timedelta(minutes=1)
    for hours in (1, 2, 3):
        grown = Window(begun, START + timedelta(hours=hours), 10_000 * hours)
        story.at(f"{hours}h").raises("stop", window=grown)
    story.expect_all("firing", "0s")
    story.expect_all("repeated", "4h", "4h1m", contains="30,000 predictions since it began")
    story.ends("5h")


def test_a_second_episode_is_a_second_message(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.at("30m").raises("stop")
    story.at("40m").clears("stop")
    for begin, end in (("0s", "10m"), ("30m", "40m")):
        story.expect_all("firing", begin)
        story.expect_all("resolved", end)
    story.ends("1h")


def test_a_severity_that_rises_wakes_who_heard_of_it_once_and_is_shown_where_a_message_can_change(tell):
    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("2m").raises("stop", severity="critical", times=2)
    story.at("3m").raises("stop", severity="critical")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "2m", contains="critical")
    story.expect_all("worsened", "2m", contains="critical, it was warning")
    story.ends("1h")


def test_what_somebody_looks_after_and_gets_worse_is_spoken_of(tell):
    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").acknowledges("stop", by="ada")
    story.at("2m").raises("stop", severity="critical")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "1m")
    story.expect("on-call/slack", "updated", "2m")
    story.expect_all("worsened", "2m")
    story.ends("1h")


def test_a_rise_is_told_of_what_an_older_version_told(tell):
    def forget_the_severity(story):
        """The rows as a version wrote them that did not write down of which severity it had told."""
        items = story.world.state.items
        debts = story.world.state.load_debts(story.find("stop"))
        for debt in debts:
            row = items.get(f"group#{debt.group}#{debt.receiver.split('/')[1]}", f"member#{debt.incident_id}")
            body = {key: value for key, value in json.loads(row.body).items() if key != "told_severity"}
            items.write([Write(msgspec.structs.replace(row, body=json.dumps(body).encode()), ANY_VERSION)])
        assert len(debts) == 2

    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").does(forget_the_severity)
    story.at("2m").raises("stop", severity="critical")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "2m")
    story.expect_all("worsened", "2m", contains="it was warning")
    story.ends("1h")


def test_what_gets_worse_while_it_is_silenced_is_told_when_the_silence_ends(tell):
    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").silences("endpoint=signs", length="30m", by="ada", reason="known")
    story.at("2m").raises("stop", severity="critical")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "31m", "32m")
    story.expect_all("worsened", "31m", "32m")
    story.ends("1h")


def test_a_resolve_whose_event_is_lost_is_told_by_the_tick(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("9m").loses_events(until="10m30s")
    story.at("10m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m30s", "16m")
    story.ends("1h")


def test_an_opening_whose_event_is_lost_is_told_by_the_tick(tell):
    story = tell()
    story.at("0s").loses_events(until="30s")
    story.at("1s").raises("stop")
    story.expect_all("firing", "30s", "2m")
    story.ends("1h")


def test_a_tick_with_nothing_due_says_nothing(tell):
    story = tell()
    story.at("0s").raises("stop")
    for minute in range(1, 60):
        story.at(f"{minute}m").does(lambda told: told._pass_tick())
    story.expect_all("firing", "0s")
    story.ends("1h")


def test_the_thread_of_the_slack_message_is_its_timeline(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("5m").acknowledges("stop", by="ada <!channel>")
    story.at("10m").clears("stop")
    story.play_only("1h")
    lines = [text for _, _, text in story.ears.threads]
    assert lines[0] == "FIRING: Acknowledged by ada &lt;!channel&gt;."
    assert lines[1].startswith("RESOLVED: Class stop is back to its usual share")
    assert len({handle for _, handle, _ in story.ears.threads}) == 1
    assert len(lines) == 2


def test_what_a_person_resolved_is_told_again_once_it_gets_worse(tell):
    story = tell()
    story.at("0m").raises("stop", severity="warning")
    story.at("10m").resolves("stop", by="ada", reason="known")
    story.at("20m").raises("stop", severity="warning")
    story.at("2h").raises("stop", severity="critical", times=2)
    story.at("3h").clears("stop")
    story.expect_all("firing", "0m")
    story.expect_all("resolved", "10m", contains="only if it gets worse")
    story.expect_all("firing", "2h", contains="critical")
    story.expect_all("resolved", "3h")
    story.ends("10h")
