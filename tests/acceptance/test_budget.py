"""Whatever flaps, nothing worse than it is buried: what the budget counts, and what is told at once."""

from __future__ import annotations

import json

import pytest

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
