"""Whatever flaps, nothing worse than it is buried: what the budget counts, and what is told at once."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest

from sagewatch.alert_state import AlertState
from sagewatch.errors import RejectedInputError
from sagewatch.events import FindingReported
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.acceptance.test_flapping import BUDGET

BRIEF = BUDGET.replace("digest: 6h", "digest: 1h")
PAGER = """
version: 1
endpoints: {signs: {}}
receivers:
  team: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}}
  pager: {pagerduty: {key: "secret:sagewatch/pagerduty"}}
routes:
  receiver: team
  routes:
    - {match: ["severity=critical"], receiver: pager, continue: true}
    - {match: [], receiver: team}
"""


def come_and_go(story, times, *, severity="warning", start=0):
    """Five minutes long, every ten minutes."""
    for number in range(times):
        story.at(f"{start + number * 10}m").raises("stop", severity=severity)
        story.at(f"{start + number * 10 + 5}m").clears("stop")


def expect_pairs(story, times, start=0):
    for number in range(times):
        story.expect_all("firing", f"{start + number * 10}m")
        story.expect_all("resolved", f"{start + number * 10 + 5}m")


def test_what_is_critical_is_told_at_once_however_often_warnings_came_and_went(tell):
    story = tell()
    come_and_go(story, 7)
    story.at("2h").raises("stop", severity="critical")
    story.at("3h").clears("stop")
    expect_pairs(story, 6)
    story.expect_all("digest", "1h")
    story.expect_all("firing", "2h", contains="critical")
    story.expect_all("resolved", "3h")
    story.ends("8h")


@pytest.mark.parametrize("rounds", [3, 4], ids=["summed up as a warning", "kept for the next summary"])
def test_what_flaps_and_gets_worse_is_told_at_once(tell, rounds):
    story = tell(BUDGET)
    come_and_go(story, rounds)
    story.at("50m").raises("stop", severity="warning")
    story.at("55m").raises("stop", severity="critical")
    story.at("2h").clears("stop")
    expect_pairs(story, 3)
    story.expect_all("digest", "30m" if rounds == 4 else "50m")
    story.expect_all("firing", "55m", contains="critical")
    story.expect_all("resolved", "2h")
    story.ends("8h")


def test_a_pager_that_hears_of_what_is_critical_alone_is_called_each_time_within_the_budget(tell):
    """Warnings that it never heard of use up nothing of what it is told."""
    story = tell(PAGER)
    come_and_go(story, 7)
    story.at("2h").raises("stop", severity="critical")
    story.at("2h5m").clears("stop")
    story.at("3h").raises("stop", severity="critical")
    story.at("4h").clears("stop")
    story.play_only("8h")
    paged = [one for one in story.ears.heard if one.target == "pager/pagerduty"]
    assert [(str(one.at - story.at("0s").now), one.kind) for one in paged] == [
        ("2:00:00", "trigger"),
        ("2:05:00", "resolve"),
        ("3:00:00", "trigger"),
        ("4:00:00", "resolve"),
    ]
    assert not any(json.loads(one.text)["dedup_key"].endswith("-digest") for one in paged)


def test_what_is_critical_has_a_budget_of_its_own(tell):
    story = tell(BRIEF)
    come_and_go(story, 3)
    come_and_go(story, 5, severity="critical", start=60)
    expect_pairs(story, 3)
    expect_pairs(story, 3, start=60)
    story.expect_all("digest", "90m", contains="comes and goes: 1")
    story.expect_all("digest", "2h30m", contains="comes and goes: 1")
    story.ends("8h")


def test_what_nobody_could_be_told_of_uses_up_nothing_of_the_budget(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="2h", by="ada", reason="maintenance")
    come_and_go(story, 6, severity="critical", start=5)
    story.at("3h").raises("stop")
    story.at("3h5m").clears("stop")
    story.at("4h").raises("stop")
    story.at("5h").clears("stop")
    story.expect_all("firing", "3h")
    story.expect_all("resolved", "3h5m")
    story.expect_all("firing", "4h")
    story.expect_all("resolved", "5h")
    story.ends("8h")


def test_what_is_on_trial_uses_up_nothing_of_the_budget(tell):
    story = tell(BUDGET)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop", staged=True)
        story.at(f"{number * 10 + 5}m").clears("stop")
    story.at("1h").raises("stop")
    story.at("2h").clears("stop")
    story.expect_all("firing", "1h")
    story.expect_all("resolved", "2h")
    story.ends("8h")


EXPLAINED = (
    BRIEF + '\ninhibit: [{when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}]\n'
)


def test_what_is_told_only_when_its_mute_ends_uses_up_the_budget_all_the_same(tell):
    """Each warning opens muted, and is told four minutes later: nothing else would hold it back."""
    story = tell(EXPLAINED)
    for number in range(8):
        start = number * 10
        story.at(f"{start}m").raises("other", severity="critical", kind="confidence")
        story.at(f"{start + 1}m").raises("stop", severity="warning")
        story.at(f"{start + 5}m").clears("other")
        story.at(f"{start + 7}m").clears("stop")
    story.play_only("3h")
    mails = [one for one in story.ears.heard if one.target == "on-call/mail"]
    for of_stop in (True, False):
        told = Counter(one.kind for one in mails if ("Class stop" in one.text) is of_stop)
        assert told == {"firing": 3, "resolved": 3, "digest": 2}


def test_what_came_and_went_muted_uses_up_nothing_though_it_was_held_beyond_its_mute(tell):
    """A silence ends while nobody knows whether it comes back: that it did not was so since before the end."""
    story = tell(BUDGET.replace("flapping: {", "flapping: {hold: 5m, "))
    for number in range(8):
        start = number * 20
        story.at(f"{start}m").silences("endpoint=signs", length="7m", by="ada", reason="known")
        story.at(f"{start + 1}m").raises("stop")
        story.at(f"{start + 4}m").clears("stop")
    story.at("3h").raises("stop")
    story.at("3h10m").clears("stop")
    story.play_only("12h")
    told = [one.kind for one in story.ears.heard if one.target == "on-call/mail"]
    assert told == ["firing", "resolved"]


def test_what_is_told_between_two_mutes_uses_up_the_budget(tell):
    """All that changes of it is found muted: that it was told between is what the books know."""
    story = tell(EXPLAINED)
    for number in range(8):
        start = number * 10
        story.at(f"{start}m").raises("other", severity="critical", kind="confidence")
        story.at(f"{start + 1}m").raises("stop", severity="warning")
        story.at(f"{start + 4}m").clears("other")
        story.at(f"{start + 6}m").raises("other", severity="critical", kind="confidence")
        story.at(f"{start + 7}m").clears("stop")
        story.at(f"{start + 8}m").clears("other")
    story.play_only("90m")
    mails = [one for one in story.ears.heard if one.target == "on-call/mail" and "Class stop" in one.text]
    told = Counter(one.kind for one in mails)
    assert told["firing"] == told["resolved"] == 3
    assert told["digest"]


def test_what_gets_worse_while_it_is_muted_counts_as_bad_as_it_is_told(tell):
    story = tell(BRIEF)
    for number in range(6):
        start = number * 20
        story.at(f"{start}m").raises("stop", severity="warning")
        story.at(f"{start + 1}m").silences("endpoint=signs", length="3m", by="ada", reason="known")
        story.at(f"{start + 2}m").raises("stop", severity="critical")
        story.at(f"{start + 10}m").clears("stop")
    story.play_only("3h")
    told = Counter(one.kind for one in story.ears.heard if one.target == "on-call/mail")
    assert told["firing"] == told["worsened"] == told["resolved"] == 3
    assert told["digest"]


def test_what_a_person_resolves_counts_too(tell):
    """It opened muted, was told, and no finding found it unmuted."""
    story = tell(BUDGET)
    for number in range(4):
        start = number * 20
        story.at(f"{start}m").silences("endpoint=signs", length="3m", by="ada", reason="known")
        story.at(f"{start + 1}m").raises("stop")
        story.at(f"{start + 9}m").resolves("stop", by="ada", reason="mended")
        story.at(f"{start + 10}m").clears("stop")
    story.play_only("2h")
    told = Counter(one.kind for one in story.ears.heard if one.target == "on-call/mail")
    assert told == {"firing": 3, "resolved": 3, "digest": 1}


UNREADABLE = [
    b"{broken",
    (
        b'{"silence_id":"x","matchers":["colour=red"],"starts_at":"2026-11-23T00:00:00Z",'
        b'"ends_at":"2026-11-24T00:00:00Z","by":"ada","reason":"known"}'
    ),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=["damaged", "a matcher of another version"])
def test_what_opens_beside_a_silence_that_nobody_can_read_is_told_and_counts(tell, body):
    story = tell(BUDGET)
    story.items.write([Write(Item("silences", "x", body), ANY_VERSION)])
    come_and_go(story, 4)
    expect_pairs(story, 3)
    story.expect_all("digest", "30m")
    story.ends("3h")
    assert story.world.alerts.list_unreadable_silences() == ["x"]


def test_what_opens_while_nobody_knows_what_is_quiet_opens_and_counts(tell, monkeypatch):
    story = tell(BUDGET)
    story.at("0s").raises("yield")

    def fail(self, now):
        raise RejectedInputError("cannot be read", where="silences", key="x")

    def open_another(told):
        known = told.known["yield"]
        other = msgspec.structs.replace(known, subject="stop", finding_id="f" * 16, fingerprint="f" * 16)
        with monkeypatch.context() as broken:
            broken.setattr(AlertState, "list_silences", fail)
            manage_incident(FindingReported(other), told.world)

    story.at("1m").does(open_another)
    story.play_only("2m")
    record = story.world.state.load_open("f" * 16)
    assert [one.at for one in record.counted] == [story.at("0s").now]
