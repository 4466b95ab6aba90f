"""Who hears only where nobody looks after an incident, and what keeps it waiting until somebody does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.events import ActionRequested
from sagewatch.flows.act_on_request import carry_out
from sagewatch.section import read_duration
from tests.acceptance.language import START
from tests.acceptance.test_explained import read_trail

ESCALATING = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}}
  boss: {pagerduty: {key: "secret:sagewatch/pagerduty"}}
routes:
  receiver: on-call
  escalate: [{after: 30m, receiver: boss}]
"""
PAGER = "boss/pagerduty"
WAITING = ESCALATING + "  group_wait: 10m\n"


def play_paged(story, until="20h"):
    """What the pager was told."""
    story.play_only(until)
    return [one.kind for one in story.ears.heard if one.target == PAGER]


def test_who_acknowledges_while_an_escalation_waits_for_company_stops_it(tell):
    story = tell(WAITING)
    story.at("1m").raises("stop")
    story.at("33m").acknowledges("stop", by="ada")
    assert play_paged(story, "5h") == []
    assert "It need not begin to hear of it: somebody looks after it [escalation_stopped]." in read_trail(
        story, "stop"
    )
    story.at("10h").clears("stop")
    assert play_paged(story) == []
    told = read_trail(story, "stop")
    assert f"{PAGER} was told nothing: it was over before it was to hear of it." in told
    assert "somebody looked after it, or it was over, before the escalation was told" in told
    assert story.world.alerts.list_due() == []


def test_who_acknowledges_what_would_join_an_escalated_message_keeps_it_out(tell):
    story = tell(ESCALATING)
    story.at("0m").raises("stop")
    story.at("1m").raises("yield")  # due at 31m, and kept back by the group's interval until 35m
    story.at("32m").acknowledges("yield", by="ada")
    story.at("3h").clears("yield")
    story.at("3h").clears("stop")
    assert play_paged(story) == ["trigger", "resolve"]
    assert not any("yield" in text for text in story.texts(PAGER))


def test_who_acknowledges_while_the_escalation_is_silenced_stops_it(tell):
    story = tell(ESCALATING)
    story.at("1m").raises("stop")
    story.at("10m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("1h").acknowledges("stop", by="ada")
    story.at("10h").clears("stop")
    assert play_paged(story) == []


@pytest.mark.parametrize("ends", ["acknowledged", "over"])
def test_an_escalation_whose_receiver_was_down_meanwhile_is_no_more_when_it_is_back(tell, ends):
    story = tell(ESCALATING)
    story.at("0s").goes_down(PAGER, back="3h")
    story.at("1m").raises("stop")
    if ends == "acknowledged":
        story.at("1h").acknowledges("stop", by="ada")
    story.at("5h" if ends == "acknowledged" else "1h").clears("stop")
    assert play_paged(story) == []
    assert story.world.alerts.list_due() == []


def test_who_was_paged_hears_the_rest_whoever_acknowledges(tell):
    story = tell(ESCALATING)
    story.at("1m").raises("stop")
    story.at("1h").acknowledges("stop", by="ada")
    story.at("2h").clears("stop")
    assert play_paged(story) == ["trigger", "acknowledge", "resolve"]


def test_who_may_have_been_paged_hears_that_somebody_acknowledged(tell):
    story = tell(ESCALATING)
    story.at("30m").loses_answers(PAGER, times=1)
    story.at("1m").raises("stop")
    story.at("31m20s").acknowledges("stop", by="ada")
    story.at("2h").clears("stop")
    assert play_paged(story) == ["trigger", "trigger", "acknowledge", "resolve"]


def test_who_may_have_been_paged_of_what_is_over_hears_the_end_alone(tell):
    story = tell(ESCALATING)
    story.at("30m").loses_answers(PAGER, times=1)
    story.at("1m").raises("stop")
    story.at("31m20s").clears("stop")
    assert play_paged(story) == ["trigger", "resolve"]


@pytest.mark.parametrize("quiet", ["a window", "a silence", "a trial"])
def test_an_escalation_counts_from_when_somebody_can_be_told(tell, quiet):
    """Six hours in which nobody is told: whoever is on call has half an hour after that, as after any first word."""
    windows = 'windows: {deploy: {mutes: ["endpoint=signs"], every: "daily 11:00-18:00"}}\n'
    story = tell(ESCALATING + (windows if quiet == "a window" else ""))
    if quiet == "a silence":
        story.at("0s").silences("endpoint=signs", length="6h", by="ada", reason="known")
    story.at("1m").raises("stop", staged=quiet == "a trial")
    if quiet == "a trial":
        story.at("6h").promotes("stop", by="ada")
    story.at("9h").clears("stop")
    story.expect("on-call/slack", "firing", "6h", "6h1m")
    story.expect(PAGER, "trigger", "6h30m", "6h31m")
    story.expect("on-call/slack", "resolved", "9h")
    story.expect(PAGER, "resolve", "9h")
    story.ends("20h")


def test_what_is_muted_again_before_it_escalates_counts_anew(tell):
    story = tell(ESCALATING)
    story.at("0m").raises("stop")
    story.at("20m").silences("endpoint=signs", length="2h", by="ada", reason="known")
    story.at("3h").clears("stop")
    story.expect("on-call/slack", "firing", "0m")
    story.expect(PAGER, "trigger", "2h50m", "2h51m")
    story.expect("on-call/slack", "resolved", "3h")
    story.expect(PAGER, "resolve", "3h")
    story.ends("20h")


def test_an_escalation_that_its_receiver_kept_waiting_counts_anew_after_a_silence(tell):
    """Due at 30 minutes, to a pager that is down then; nobody can acknowledge what nobody is told of."""
    story = tell(ESCALATING)
    story.at("29m").goes_down(PAGER, back="40m")
    story.at("0m").raises("stop")
    story.at("35m").silences("endpoint=signs", length="2h", by="ada", reason="known")
    story.at("3h30m").clears("stop")
    story.expect("on-call/slack", "firing", "0m")
    story.expect(PAGER, "trigger", "3h5m", "3h6m")
    story.expect("on-call/slack", "resolved", "3h30m")
    story.expect(PAGER, "resolve", "3h30m")
    story.ends("10h")


def test_who_is_routed_directly_by_a_deployment_is_told_though_somebody_looks_after_it(tell):
    direct = ESCALATING.replace("receiver: on-call\n", "receiver: boss\n").replace(
        "  escalate: [{after: 30m, receiver: boss}]\n", ""
    )
    story = tell(ESCALATING)
    story.at("29m").goes_down(PAGER, back="2h")
    story.at("0m").raises("stop")
    story.at("40m").acknowledges("stop", by="ada")
    story.at("1h").deploys(direct)
    story.at("4h").clears("stop")
    assert play_paged(story, "10h") == ["trigger", "acknowledge", "resolve"]
    first = next(one for one in story.ears.heard if one.target == PAGER)
    assert first.at < story.at("2h20m").now


RISES = """
version: 1
endpoints: {signs: {}}
receivers:
  on-call: {mail: {}}
  critical: {pagerduty: {key: "secret:sagewatch/pagerduty"}}
  boss: {slack: {channel: "#boss", token: "secret:sagewatch/slack"}}
routes:
  receiver: on-call
  escalate: [{after: 30m, receiver: boss}]
  routes: [{match: [severity=critical], receiver: critical, escalate: [{after: 30m, receiver: boss}]}]
"""


def test_what_gets_worse_than_was_acknowledged_pages_whom_that_pages(tell):
    """It was triggered and acknowledged in one second: PagerDuty tells nobody of such."""
    story = tell(RISES)
    story.at("0s").raises("stop", severity="warning")
    story.at("5m").acknowledges("stop", by="ada")
    story.at("15h").raises("stop", severity="critical")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/mail", "worsened", "15h")
    story.expect("critical/pagerduty", "trigger", "15h")
    story.at("15h10m").acknowledges("stop", by="bo")
    story.expect("critical/pagerduty", "acknowledge", "15h10m")
    story.ends("17h")


def test_what_gets_worse_than_was_acknowledged_escalates_unless_somebody_says_so_again(tell):
    story = tell(RISES)
    story.at("0s").raises("stop", severity="warning")
    story.at("5m").acknowledges("stop", by="ada")
    story.at("15h").raises("stop", severity="critical")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/mail", "worsened", "15h")
    story.expect("critical/pagerduty", "trigger", "15h")
    story.expect("boss/slack", "firing", "15h30m", "15h31m")
    story.ends("17h")
    told = read_trail(story, "stop")
    assert (
        "What was acknowledged was milder: somebody has to look after it anew, because its severity rose "
        "(ada had acknowledged it as warning)."
    ) in told


SOON_ESCALATING = """
version: 1
endpoints: {signs: {}}
routes: {receiver: on-call, escalate: [{after: 20m, receiver: boss}]}
receivers:
  on-call: {mail: {}}
  boss: {pagerduty: {key: "secret:z"}}
"""
EXPLAINABLE = (
    SOON_ESCALATING + "inhibit: [{when: [severity=critical], mutes: [severity=warning], equal: [endpoint]}]\n"
)
SHORT_WINDOW = SOON_ESCALATING + 'windows: {short: {mutes: ["endpoint=signs"], every: "Mon 12:01-12:13"}}\n'


def test_a_silence_of_twelve_minutes_puts_the_escalation_back(tell):
    story = tell(SOON_ESCALATING)
    story.at("0s").raises("stop")
    story.at("1m").silences("endpoint=signs", length="12m", by="ada", reason="I look")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("boss/pagerduty", "trigger", "33m", "48m")
    story.ends("1h")


def test_a_window_of_twelve_minutes_puts_the_escalation_back(tell):
    story = tell(SHORT_WINDOW)
    story.at("0s").raises("stop")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("boss/pagerduty", "trigger", "33m", "48m")
    story.ends("1h")


def test_an_explanation_of_ten_minutes_puts_the_escalation_back(tell):
    story = tell(EXPLAINABLE)
    story.at("0s").raises("stop", severity="warning")
    story.at("2m").raises("bad", kind="rejected", severity="critical")
    story.at("12m").clears("bad")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/mail", "firing", "2m")
    story.expect("on-call/mail", "resolved", "12m")
    story.expect("boss/pagerduty", "trigger", "32m", "47m")
    story.ends("1h")


def test_a_button_pressed_before_it_got_worse_acknowledges_nothing_of_what_it_is_now(tell):
    """The queue brings its word twice, or late: what it said has lapsed."""
    story = tell(RISES)
    story.at("0s").raises("stop", severity="warning")
    for time in ("5m", "16m"):
        story.at(time).does(lambda one: carry_out(press(one, "5m"), one.world))
    story.at("15m").raises("stop", severity="critical")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/mail", "worsened", "15m")
    story.expect("critical/pagerduty", "trigger", "15m")
    story.expect("boss/slack", "firing", "45m", "46m")
    story.at("50m").does(lambda one: carry_out(press(one, "50m"), one.world))
    story.expect("critical/pagerduty", "acknowledge", "50m")
    story.expect("boss/slack", "updated", "50m")
    story.ends("2h")
    assert story.world.state.load_incident(story.find("stop")).acknowledged_by == "ada"


def press(story, time):
    """A button under the message of ``stop``."""
    return ActionRequested(
        action="acknowledge", incident_id=story.find("stop"), by="ada", at=story.at(time).now,
        account="123456789012", region="eu-central-1",
    )  # fmt: skip


@pytest.mark.parametrize("after", ["23h", "25h", "2d", "60h"])
def test_an_escalation_of_days_comes(tell, after):
    story = tell(SOON_ESCALATING.replace("after: 20m", f"after: {after}"))
    story.at("0s").raises("stop")
    story.play_only("4d")
    paged = next(one.at for one in story.ears.heard if one.target == "boss/pagerduty")
    assert timedelta(0) <= paged - START - read_duration(after) <= timedelta(minutes=15)


def test_an_escalation_of_days_counts_anew_after_the_shortest_mute(tell):
    story = tell(SOON_ESCALATING.replace("after: 20m", "after: 2d"))
    story.at("0s").raises("stop")
    story.at("46h").silences("endpoint=signs", length="10m", by="ada", reason="I look")
    story.play_only("95h")
    paged = next(one.at for one in story.ears.heard if one.target == "boss/pagerduty")
    assert timedelta(hours=94) <= paged - START <= timedelta(hours=94, minutes=30)


@pytest.mark.parametrize("kept", ["by a silence", "by an outage"])
def test_an_acknowledgement_that_the_pager_was_not_told_comes_with_its_reminder(tell, kept):
    """PagerDuty would go on escalating what somebody took."""
    story = tell(
        SOON_ESCALATING.replace(
            "receiver: on-call, escalate: [{after: 20m, receiver: boss}]",
            "receiver: boss, remind_interval: 1h",
        )
    )
    story.at("0s").raises("stop")
    if kept == "by a silence":
        story.at("1m").silences("endpoint=signs", length="3h", by="ada", reason="known")
    else:
        story.at("1m").goes_down(PAGER, back="3h")
    story.at("2m").acknowledges("stop", by="ada")
    story.play_only("10h")
    told = [one.kind for one in story.ears.heard if one.target == PAGER]
    assert told.count("acknowledge") == 1


def test_an_acknowledgement_of_what_got_worse_while_it_was_muted_is_told(tell):
    story = tell(
        SOON_ESCALATING.replace(
            "receiver: on-call, escalate: [{after: 20m, receiver: boss}]", "receiver: boss"
        )
    )
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").silences("endpoint=signs", length="1h", by="ada", reason="known")
    story.at("10m").raises("stop", severity="critical")
    story.at("20m").acknowledges("stop", by="ada")
    story.play_only("2h")
    assert [one.kind for one in story.ears.heard if one.target == PAGER] == [
        "trigger",
        "trigger",
        "acknowledge",
    ]
