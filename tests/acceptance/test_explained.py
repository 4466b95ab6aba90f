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
