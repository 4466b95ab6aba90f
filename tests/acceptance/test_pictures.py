"""Heat maps: in the thread of the message that told of their incident, once, when Slack can be called."""

from __future__ import annotations

from tests.acceptance.conftest import MONITORS

CHAT = MONITORS.replace(", mail: {}", "")
PICTURES = "on-call/uploads"


def test_heat_maps_go_into_the_thread_of_their_incident_also_when_the_group_has_had_another_message_since(
    tell,
):
    story = tell(CHAT)
    story.at("0s").raises("stop")
    story.at("6m").clears("stop")
    story.at("8m").raises("yield")
    story.at("12m").explains("stop")
    story.play_only("30m")
    (uploaded,) = story.texts(PICTURES)
    assert uploaded.startswith("C1:1 ")
    assert "stop" in uploaded
    (posted, *_) = story.ears.heard
    assert (posted.kind, "stop" in posted.text) == ("firing", True)  # the message whose handle is C1:1


def test_heat_maps_of_what_nobody_was_told_of_go_into_nobodys_thread(tell):
    story = tell(CHAT)
    story.at("0s").silences("subject=stop", length="5m", by="ada", reason="known")
    story.at("1m").raises("stop")
    story.at("2m").raises("yield")
    story.at("3m").clears("stop")
    story.at("12m").explains("stop")
    story.play_only("30m")
    assert story.texts(PICTURES) == []
    assert any("yield" in text for text in story.texts("on-call/slack"))


def test_heat_maps_wait_until_slack_may_be_called_again(tell):
    story = tell(CHAT + "routes: {receiver: on-call, group_by: [incident]}")
    story.at("0s").raises("stop")
    story.at("4m").throttles("on-call/slack", times=1, retry_after=600)
    story.at("5m").raises("yield")
    story.at("6m").explains("stop")
    story.expect("on-call/slack", "firing", "0s")
    story.expect("on-call/slack", "firing", "15m", "16m", contains="yield")
    story.expect("on-call/slack", "updated", "15m", "16m", contains="stop")
    story.expect(PICTURES, "pictures", "15m", "16m")
    story.ends("1h")
    assert story.count_asked(PICTURES) == 1


def test_heat_maps_that_slack_throttles_come_when_it_said_and_keep_no_message_waiting(tell):
    story = tell(CHAT)
    story.at("0s").raises("stop")
    story.at("1m").clears("stop")
    story.at("2m").throttles(PICTURES, times=1, retry_after=300)
    story.at("3m").explains("stop")
    story.at("4m").raises("yield")
    story.expect("on-call/slack", "firing", "0s")
    story.expect("on-call/slack", "resolved", "1m")
    story.expect("on-call/slack", "resolved", "3m")
    story.expect("on-call/slack", "firing", "4m")
    story.expect(PICTURES, "pictures", "8m", "9m")
    story.ends("1h")
