"""What is spoken of again, and who hears later: repeat, reminders, escalation, acknowledgement."""

from __future__ import annotations

TIMED = """
version: 1
endpoints: {signs: {}, churn: {}}
routes:
  receiver: on-call
  repeat_interval: 2h
  remind_interval: 6h
  escalate:
    - {after: 15m, receiver: boss, match: ["severity=critical"]}
    - {after: 1h, receiver: boss}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
  boss: {slack: {channel: "#boss", token: "secret:sagewatch/slack"}}
"""
CALM = TIMED.replace("after: 15m", "after: 300d").replace("after: 1h", "after: 300d")


def test_what_nobody_acknowledges_is_spoken_of_again(tell):
    story = tell(CALM)
    story.at("0s").raises("stop")
    story.expect_all("firing", "0s")
    story.expect_all("repeated", "2h", "2h1m", contains="STILL FIRING")
    story.expect_all("repeated", "4h", "4h2m")
    story.ends("5h")


def test_what_is_over_is_not_spoken_of_again(tell):
    story = tell(CALM)
    story.at("0s").raises("stop")
    story.at("1h").clears("stop")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "1h")
    story.ends("9h")


def test_who_acknowledges_is_reminded_later_instead(tell):
    story = tell(CALM)
    story.at("0s").raises("stop")
    story.at("1h").acknowledges("stop", by="ada")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "1h", contains="by ada")
    story.expect_all("repeated", "7h", "7h1m", contains="ada")
    story.ends("8h")


def test_a_critical_incident_that_nobody_acknowledges_escalates(tell):
    story = tell(TIMED)
    story.at("0s").raises("stop")
    story.at("30m").clears("stop")
    story.expect_all("firing", "0s")
    story.expect("boss/slack", "firing", "15m", "16m")
    story.expect_all("resolved", "30m")
    story.expect("boss/slack", "resolved", "30m")
    story.ends("3h")


def test_a_milder_one_escalates_later(tell):
    story = tell(TIMED)
    story.at("0s").raises("stop", severity="warning")
    story.expect_all("firing", "0s")
    story.expect("boss/slack", "firing", "1h", "1h1m")
    story.ends("90m".replace("90m", "1h30m"))


def test_an_acknowledged_incident_does_not_escalate(tell):
    story = tell(TIMED)
    story.at("0s").raises("stop")
    story.at("10m").acknowledges("stop", by="ada")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "10m")
    story.ends("2h")


def test_who_resolves_by_hand_is_named(tell):
    story = tell(CALM)
    story.at("0s").raises("stop")
    story.at("10m").resolves("stop", by="ada", reason="a test drive")
    story.at("11m").raises("stop")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m", contains="Resolved by ada: a test drive")
    story.ends("1h")
    for target in ("on-call/slack", "on-call/mail"):
        told = " ".join(story.texts(target)[-1].split())
        assert "The evidence had not fallen back." in told
        assert "back to its usual share" not in told


def test_an_acknowledgement_twice_changes_nothing(tell):
    story = tell(CALM)
    story.at("0s").raises("stop")
    story.at("1m").acknowledges("stop", by="ada")
    story.at("2m").acknowledges("stop", by="bob")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "1m", contains="by ada")
    story.ends("1h")
