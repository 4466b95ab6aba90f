"""Every decision of a story can be told afterwards, in words."""

from __future__ import annotations

import ast
from pathlib import Path

from click.testing import CliRunner

import sagewatch
from sagewatch.cli.explain import explain
from sagewatch.cli.store import Store
from sagewatch.incident.why import REASONS
from tests.acceptance.conftest import MONITORS
from tests.acceptance.test_quiet import INHIBITED, WINDOWS

ESCALATING = (
    MONITORS.replace(
        "receivers:", "receivers:\n  boss: {slack: {channel: '#boss', token: 'secret:sagewatch/slack'}}"
    )
    + "routes: {receiver: on-call, escalate: [{after: 30m, receiver: boss}]}\n"
)

PACKAGE = Path(sagewatch.__file__).parent


def test_the_trail_tells_who_was_told_what_and_why(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1m").acknowledges("stop", by="ada")
    story.at("9m").throttles("on-call/slack", times=1, retry_after=30)
    story.at("10m").clears("stop")
    story.play_only("1h")
    told = read_trail(story, "stop")
    assert (
        "A message was sent (firing) to on-call/mail, because it had not been told yet. [new_incident" in told
    )
    assert "next try after 30 s" in told
    assert "by ada]" in told
    assert "on-call/slack was told of the end" in told


def test_every_reason_for_a_message_has_words():
    sends = [
        node
        for path in (PACKAGE / "alert").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Send", "Spare"}
    ]
    codes = {
        keyword.value.value
        for send in sends
        for keyword in send.keywords
        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant)
    }
    assert len(codes) >= 4
    assert codes <= REASONS.keys()


def read_trail(story, name):
    """What ``sagewatch explain`` says of an incident."""
    store = Store(world=story.world, outputs={})
    result = CliRunner().invoke(explain, [story.find(name)], obj=store)
    assert result.exit_code == 0, result.output
    return result.output.replace("\n", " ")


def test_a_silence_is_named_with_who_why_and_until_when_and_only_once(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="10h", by="ada", reason="load test")
    story.at("1m").raises("stop")
    story.play_only("3h")  # looked at a dozen times meanwhile
    told = read_trail(story, "stop")
    assert told.count("Nobody is told, because a silence matches it, until 2026-11-23 22:00:00 UTC") == 1
    assert '"by ada: load test". [silenced, by deliver_alert]' in told
    assert "on-call/mail has been told nothing yet. It hears by the route default." in told
    assert "Nobody is told now, until 2026-11-23 22:00:00 UTC: silenced by ada: load test [silenced]." in told


def test_a_window_an_inhibition_and_a_trial_are_named(tell):
    story = tell(WINDOWS)
    story.at("10m").raises("stop")
    story.play_only("20m")
    assert "because it falls into a maintenance window, until 2026-11-23 13:00:00 UTC" in read_trail(
        story, "stop"
    )
    assert '"release". [in_window' in read_trail(story, "stop")


def test_the_incident_that_explains_another_is_named(tell):
    story = tell(INHIBITED)
    story.at("0s").raises("bad", kind="rejected")
    story.at("1m").raises("none", kind="no-data")
    story.play_only("5m")
    told = read_trail(story, "none")
    assert f'another incident that is open explains it "by incident {story.find("bad")}"' in told


def test_that_no_route_leads_to_anybody_is_named(tell):
    story = tell("{version: 1, endpoints: {signs: {}}}")
    story.at("0s").raises("stop")
    story.play_only("5m")
    assert "Nobody is told, because nobody is to hear of it" in read_trail(story, "stop")


def test_a_detector_on_trial_is_named(tell):
    story = tell()
    story.at("0s").raises("stop", staged=True)
    story.play_only("5m")
    assert "Nobody is told, because its detector is on trial" in read_trail(story, "stop")


def test_company_that_is_waited_for_is_named(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 30s}")
    story.at("0s").raises("stop")
    story.play_only("10s")
    told = read_trail(story, "stop")
    assert (
        "on-call/mail has been told nothing yet. The first word of its group waits for company until" in told
    )
    assert "12:00:30 UTC [group_wait]." in told


def test_a_receiver_that_is_down_is_named(tell):
    story = tell()
    story.at("0s").goes_down("on-call/slack", back="2h")
    story.at("1s").raises("stop")
    story.play_only("3m")
    assert (
        "on-call/slack has been told nothing yet. It is called again after 3 tries in vain at"
        in read_trail(story, "stop")
    )


def test_what_was_left_out_of_an_end_is_explained_while_it_is_muted_and_no_longer(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 30s}")
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="1h", by="ada", reason="x")
    story.at("30m").clears("yield")
    story.play_only("40m")
    muted = "ended without it while it was muted until 2026-11-23 13:20:00 UTC; if it fires longer"
    assert muted in read_trail(story, "stop")
    story.play_only("2h")
    assert "while it was muted until" not in read_trail(story, "stop")


def test_when_what_comes_and_goes_is_summed_up_next_is_named(tell):
    story = tell(MONITORS + "flapping: {budget: 1, per: 1d, digest: 2h}")
    for number in range(3):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop")
    story.play_only("1h")
    told = read_trail(story, "stop")
    assert "It opens more often than its budget allows: it is summed up, next at 2026-11-23 14:10" in told
    assert "[flapping]" in told
    story.play_only("3h")
    told = read_trail(story, "stop")
    assert "on-call/mail heard of it in a summary" in told
    assert "next at" not in told


def test_that_a_silence_was_ended_is_in_the_trail_of_what_it_matched_and_nowhere_else(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("0s").raises("yield")
    story.at("5m").silences("subject=stop", length="6h", by="bob", reason="load test")
    story.at("6m").silences("subject=yield", length="1h", start="3h", by="bob", reason="later")
    story.play_only("20m")
    assert "until 2026-11-23 18:05:00 UTC" in read_trail(story, "stop")
    story.at("30m").ends_silences()
    story.play_only("40m")
    told = read_trail(story, "stop")
    ended = "A silence that matches it was ended before its time, because somebody decided so"
    assert f'12:30:00 UTC  {ended} "by bob: load test". [by_hand, by ada]' in told
    assert "Nothing withholds it from people any more." in told
    assert told.count("on-call/mail, because") == 1  # it was told before, and hears nothing new
    assert ended not in read_trail(story, "yield")  # it never began


def test_of_what_was_on_trial_all_its_life_no_route_is_missed(tell):
    story = tell()
    story.at("0s").raises("stop", staged=True)
    story.at("5m").clears("stop")
    story.play_only("10m")
    told = read_trail(story, "stop")
    assert "[staged, by deliver_alert]" in told
    assert "no_receiver" not in told


def test_what_withholds_it_now_is_named_whatever_it_is_until_nothing_does(tell):
    story = tell(INHIBITED + WINDOWS.removeprefix(MONITORS))
    story.at("0s").raises("bad", kind="rejected", endpoint="churn")
    story.at("1m").raises("none", kind="no-data", endpoint="churn")
    story.at("10m").raises("stop")
    story.at("10m").raises("trial", staged=True, endpoint="churn")
    story.play_only("20m")
    until = "until 2026-11-23 13:00:00 UTC"
    assert f"Nobody is told now, {until}: the maintenance window release [in_window]." in read_trail(
        story, "stop"
    )
    why = f"explained by incident {story.find('bad')}, which is open [inhibited]."
    assert f"Nobody is told now: {why}" in read_trail(story, "none")
    assert "Nobody is told now: its detector is on trial (`sagewatch incidents promote" in read_trail(
        story, "trial"
    )
    story.at("30m").clears("bad")
    story.at("30m").promotes("trial", by="ada")
    story.play_only("70m")
    for name in ("stop", "none", "trial"):
        assert "Nothing withholds it from people any more." in read_trail(story, name)
    assert "withholds" not in read_trail(story, "bad")


def test_who_hears_next_is_named_with_the_time_unless_somebody_looks_after_it(tell):
    story = tell(ESCALATING)
    story.at("0s").raises("stop")
    story.at("0s").silences("subject=yield", length="10m", by="ada", reason="x")
    story.at("1m").raises("yield")
    story.play_only("5m")
    route = "It hears by the route default > not acknowledged for 30 min."
    come = "boss/slack hears of it {}, unless somebody acknowledges it before. " + route
    assert come.format("at 2026-11-23 12:30:00 UTC") in read_trail(story, "stop")
    assert come.format("30 min after people can be told of it") in read_trail(story, "yield")
    story.at("20m").acknowledges("stop", by="ada")
    story.play_only("25m")
    assert "boss/slack need not begin to hear of it: somebody looks after it" in read_trail(story, "stop")
    assert come.format("at 2026-11-23 12:40:00 UTC") in read_trail(story, "yield")
    story.play_only("50m")
    assert "boss/slack was told that it fires at 2026-11-23 12:40:00 UTC" in read_trail(story, "yield")
    assert "hears of it" not in read_trail(story, "yield")
    story.at("55m").clears("stop")
    story.play_only("1h")
    assert "boss/slack" not in read_trail(story, "stop")


def test_what_may_come_back_is_not_called_over(tell):
    story = tell(MONITORS + "flapping: {hold: 20m}")
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.play_only("15m")
    back = "Its evidence fell back at 2026-11-23 12:10:00 UTC; it is over then if it stays away until 2026-11-23 12:30:00 UTC"
    assert back in read_trail(story, "stop")
    story.play_only("40m")
    assert "may_come_back" not in read_trail(story, "stop")


def test_of_a_receiver_that_is_gone_the_end_is_not_promised(tell):
    story = tell(ESCALATING)
    story.at("0s").raises("stop")
    story.at("5m").deploys(ESCALATING.replace("on-call", "duty"))
    story.play_only("6m")
    gone = "monitors.yml names it no more: what it has open is to be closed there by hand, unless it is named again within a day of its end [receiver_gone]."
    assert f"is owed the end. {gone}" in read_trail(story, "stop")
    story.at("7m").deploys(ESCALATING)
    story.play_only("8m")
    assert "[receiver_gone]" not in read_trail(story, "stop")


def test_a_receiver_to_which_no_route_leads_any_more_is_said_to_hear_by_none(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 10m}")
    story.at("0s").raises("stop")
    story.at("5m").deploys(ESCALATING.partition("routes:")[0] + "routes: {receiver: boss}")
    story.play_only("6m")
    told = read_trail(story, "stop")
    assert "no route leads to it any more [no_route_any_more]." in told
    assert "[no_route_any_more]. It hears by the route" not in told


def test_what_was_done_by_hand_stands_before_what_it_led_to(tell):
    story = tell()
    story.at("0s").silences("subject=stop", length="1h", by="ada", reason="x")
    story.at("1m").raises("stop")
    story.at("1m").raises("trial", staged=True, endpoint="churn")
    story.at("20m").ends_silences()
    story.at("20m").promotes("trial", by="ada")
    story.at("30m").acknowledges("stop", by="ada")
    story.play_only("40m")
    told = read_trail(story, "stop")
    assert told.index("A silence that matches it was ended") < told.index("A message was sent (firing)")
    assert told.index("The incident was acknowledged") < told.index("A message was sent (updated)")
    told = read_trail(story, "trial")
    assert told.index("People are told although") < told.index("A message was sent (firing)")
    assert told.count("its detector is on trial") == 1


def test_whom_nobody_told_is_named(tell):
    story = tell()
    story.at("0s").silences("subject=stop", length="1h", by="ada", reason="x")
    story.at("1m").raises("stop")
    story.at("10m").clears("stop")
    story.play_only("20m")
    assert "Nobody was told at on-call/mail, because it came and went while it was muted." in read_trail(
        story, "stop"
    )
