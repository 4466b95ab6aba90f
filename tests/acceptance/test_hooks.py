"""Receivers that are told by a POST: PagerDuty, signed webhooks, Slack's webhooks."""

from __future__ import annotations

import json
from datetime import timedelta

from sagewatch.finding import Window
from tests.acceptance.language import START

HOOKED = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call:
    pagerduty: {key: "secret:sagewatch/pagerduty"}
    webhook: {url: "https://example.com/hook", secret: "secret:sagewatch/hook"}
    slack-webhook: {url: "secret:sagewatch/slack-webhook"}
"""


def test_pagerduty_is_triggered_acknowledged_and_resolved_under_one_key(tell):
    story = tell(HOOKED)
    story.at("0s").raises("stop")
    story.at("5m").acknowledges("stop", by="ada")
    story.at("10m").clears("stop")
    story.expect("on-call/pagerduty", "trigger", "0s", contains="Class stop takes 72 %")
    story.expect("on-call/pagerduty", "acknowledge", "5m")
    story.expect("on-call/pagerduty", "resolve", "10m")
    story.expect("on-call/webhook", "firing", "0s")
    story.expect("on-call/webhook", "updated", "5m")
    story.expect("on-call/webhook", "resolved", "10m")
    story.expect("on-call/slack_webhook", "firing", "0s")
    story.expect("on-call/slack_webhook", "resolved", "10m")
    story.ends("1h")
    keys = {text.split('"dedup_key": "')[1].split('"')[0] for text in story.texts("on-call/pagerduty")}
    assert len(keys) == 1


def test_a_new_episode_has_a_new_key(tell):
    story = tell(HOOKED)
    for begin, end in (("0s", "10m"), ("20m", "30m")):
        story.at(begin).raises("stop")
        story.at(end).clears("stop")
        story.expect("on-call/pagerduty", "trigger", begin)
        story.expect("on-call/pagerduty", "resolve", end)
        for target in ("on-call/webhook", "on-call/slack_webhook"):
            story.expect(target, "firing", begin)
            story.expect(target, "resolved", end)
    story.ends("1h")
    keys = {text.split('"dedup_key": "')[1].split('"')[0] for text in story.texts("on-call/pagerduty")}
    assert len(keys) == 2


def test_what_is_acknowledged_before_pagerduty_could_hear_of_it_is_triggered_first(tell):
    story = tell(HOOKED.split("    webhook:", maxsplit=1)[0])
    story.at("0s").goes_down("on-call/pagerduty", back="2m")
    story.at("1s").raises("stop")
    story.at("1m").acknowledges("stop", by="ada")
    story.at("40m").clears("stop")
    story.expect("on-call/pagerduty", "trigger", "2m", "5m")
    story.expect("on-call/pagerduty", "acknowledge", "2m", "5m")
    story.expect("on-call/pagerduty", "resolve", "40m")
    story.ends("1h")
    assert [one.kind for one in story.ears.heard] == ["trigger", "acknowledge", "resolve"]
    assert len({json.loads(text)["dedup_key"] for text in story.texts("on-call/pagerduty")}) == 1


def test_a_reminder_acknowledges_nothing_that_pagerduty_itself_has_opened_again(tell):
    """Once its service's acknowledgement timeout is reached, PagerDuty pages anew; an acknowledge would call that off."""
    story = tell(HOOKED.split("    webhook:", maxsplit=1)[0])
    story.at("0s").raises("stop")
    story.at("1m").acknowledges("stop", by="ada")
    story.expect("on-call/pagerduty", "trigger", "0s")
    story.expect("on-call/pagerduty", "acknowledge", "1m")
    story.expect("on-call/pagerduty", "trigger", "24h", "24h16m", contains="Class stop takes 72 %")
    story.ends("25h")
    assert len({json.loads(text)["dedup_key"] for text in story.texts("on-call/pagerduty")}) == 1


def test_no_two_notifications_of_amazon_q_bear_one_id_and_all_share_a_thread(tell):
    story = tell("version: 1\nendpoints: {signs: {}}\nreceivers: {on-call: {amazon-q: {}}}")
    for begin, end in (("0s", "9h"), ("10h", "11h")):
        story.at(begin).raises("stop")
        story.at(end).clears("stop")
    story.play_only("12h")
    heard = [json.loads(text) for text in story.texts("on-call/amazon_q")]
    assert len(heard) == 6  # each told, one repeated twice
    assert len({one["id"] for one in heard}) == 6
    assert len({one["metadata"]["threadId"] for one in heard}) == 1


def test_what_becomes_critical_begins_at_the_receiver_of_what_is_critical(tell):
    """A service that pages once an incident, whatever its severity, is paged by a key that it does not know."""
    story = tell(
        """
version: 1
endpoints: {signs: {}}
receivers:
  team: {pagerduty: {key: "secret:sagewatch/team"}}
  night: {pagerduty: {key: "secret:sagewatch/night"}}
routes:
  receiver: team
  routes: [{match: ["severity=critical"], receiver: night}]
"""
    )
    story.at("0s").raises("stop", severity="warning")
    story.at("5m").raises("stop", severity="critical", window=Window(START, START + timedelta(minutes=5), 50))
    story.at("10m").clears("stop")
    story.expect("team/pagerduty", "trigger", "0s", contains="warning")
    story.expect("team/pagerduty", "trigger", "5m", contains="critical")
    story.expect("night/pagerduty", "trigger", "5m", contains="critical")
    story.expect("team/pagerduty", "resolve", "10m")
    story.expect("night/pagerduty", "resolve", "10m")
    story.ends("1h")
    keys = {one.target: json.loads(one.text)["dedup_key"] for one in story.ears.heard}
    assert len(set(keys.values())) == 2
