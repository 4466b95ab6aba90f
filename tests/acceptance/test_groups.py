"""Who shares a message with whom, and when it is sent."""

from __future__ import annotations

from collections import Counter

import pytest

GROUPED = """
version: 1
endpoints: {signs: {}, churn: {}}
routes: {receiver: on-call, group_by: [endpoint], group_wait: 30s, group_interval: 5m}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""
ALONE = GROUPED.replace("[endpoint]", "[incident]").replace("30s", "0s")
FAMILIES = GROUPED.replace("[endpoint]", "[endpoint, family]")


def test_what_comes_together_is_told_together(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("20s").raises("yield")
    story.expect_all("firing", "30s", contains="and 1 more")
    story.ends("4m")


def test_a_group_is_resolved_when_its_last_incident_is(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("1s").raises("yield")
    story.at("10m").clears("stop")
    story.at("20m").clears("yield")
    story.expect_all("firing", "30s")
    story.expect("on-call/slack", "updated", "10m")
    story.expect_all("resolved", "20m")
    story.ends("1h")


def test_who_joins_later_waits_for_the_interval(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("1m").raises("yield")
    story.expect_all("firing", "30s")
    story.expect("on-call/mail", "firing", "5m30s", contains="and 1 more")
    story.expect("on-call/slack", "updated", "5m30s", contains="and 1 more")
    story.ends("20m")


def test_a_worse_one_does_not_wait(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").raises("yield", severity="critical")
    story.expect_all("firing", "30s")
    story.expect("on-call/mail", "firing", "1m")
    story.expect("on-call/slack", "updated", "1m")
    story.expect("on-call/slack", "worsened", "1m", contains="critical")
    story.ends("20m")


def test_a_rise_of_one_does_not_wait_for_the_company_of_another(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").raises("yield", severity="info")
    story.at("2m").raises("stop", severity="critical")
    story.expect_all("firing", "30s")
    story.expect_all("worsened", "2m", contains="and 1 more")
    story.expect("on-call/slack", "updated", "2m", contains="and 1 more")
    story.ends("20m")


def test_endpoints_do_not_share_a_message(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("1s").raises("leaves", endpoint="churn")
    story.expect_all("firing", "30s", contains="signs")
    story.expect_all("firing", "31s", contains="churn")
    story.ends("4m")


def test_features_of_a_family_share_a_message(tell):
    story = tell(FAMILIES)
    for number in range(8):
        story.at("0s").raises(f"pixel_{number}")
    story.at("1s").raises("V1")
    story.expect_all("firing", "30s", contains="and 7 more")
    story.expect_all("firing", "31s", contains="V1")
    story.ends("4m")


def test_every_incident_may_have_its_own_message(tell):
    story = tell(ALONE)
    story.at("0s").raises("stop")
    story.at("1s").raises("yield")
    story.expect_all("firing", "0s")
    story.expect_all("firing", "1s")
    story.ends("4m")


def test_an_incident_that_is_over_before_its_group_speaks_is_told_as_both(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("10s").clears("stop")
    story.expect_all("firing", "30s", contains="It is over already")
    story.expect_all("resolved", "30s")
    story.ends("1h")


def test_a_group_that_was_resolved_begins_a_new_message(tell):
    story = tell(GROUPED)
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.at("11m").raises("yield")
    story.expect_all("firing", "30s")
    story.expect_all("resolved", "10m")
    story.expect_all("firing", "11m30s")
    story.ends("20m")


def test_a_thousand_findings_in_a_second_are_one_message(tell):
    story = tell(GROUPED)
    for number in range(1000):
        story.at("0s").raises(f"feature_{number}")
    story.expect_all("firing", "30s", contains="and 999 more")
    story.ends("4m")


def test_a_thousand_findings_that_clear_are_one_resolve(tell):
    story = tell(GROUPED)
    count = 300 if story.is_fast else 60
    for number in range(count):
        story.at("0s").raises(f"feature_{number}")
        story.at("10m").clears(f"feature_{number}")
    story.expect_all("firing", "30s")
    story.expect("on-call/slack", "updated", "10m")
    story.expect_all("resolved", "10m")
    story.ends("1h")


def test_a_full_group_leaves_what_is_new_to_a_further_one_and_each_is_told_to_its_end(tell, monkeypatch):
    monkeypatch.setattr("sagewatch.alert_state.groups.GROUP_LIMIT", 4)
    story = tell(GROUPED)
    for number in range(5):  # a burst shares one message, also beyond the limit
        story.at("0s").raises(f"feature_{number}")
        story.at("30m").clears(f"feature_{number}")
    story.expect_all("firing", "30s", contains="and 4 more")
    story.at("10m").raises("late")
    story.expect_all("firing", "10m30s", contains="late")
    for _ in range(4):
        story.expect("on-call/slack", "updated", "30m")
    story.expect_all("resolved", "30m")
    story.at("40m").clears("late")
    story.expect_all("resolved", "40m", contains="late")
    story.ends("1h")


@pytest.mark.parametrize("fails", ["refuses", "is_down"])
def test_a_group_of_which_nothing_can_be_told_is_full_as_well(tell, monkeypatch, fails):
    monkeypatch.setattr("sagewatch.alert_state.groups.GROUP_LIMIT", 4)
    story = tell(
        GROUPED.replace("group_wait: 30s, group_interval: 5m", "group_wait: 0s").replace(", mail: {}", "")
    )
    if fails == "refuses":
        story.at("0s").refuses("on-call/slack", "invalid_auth", back="5h")
    else:
        story.at("0s").goes_down("on-call/slack", back="5h")
    for number in range(12):
        story.at(f"{20 * number}m").raises(f"feature_{number}")
    story.play_only("4h")
    names = [story.find(f"feature_{number}") for number in range(12)]
    groups = Counter(debt.group for name in names for debt in story.world.state.load_debts(name))
    assert sorted(groups.values()) == [4, 4, 4]
    for name in groups:
        assert len(story.world.alerts.load_ledger(name, "on-call/slack").refused) <= 4
