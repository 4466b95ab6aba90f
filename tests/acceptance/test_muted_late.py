"""What was over before a mute began, and still waited for its word: the mute delays that word, and takes it from nobody."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import MONITORS
from tests.acceptance.test_explained import read_trail
from tests.acceptance.test_flapping import BUDGET
from tests.acceptance.test_summaries import flap

EXPLAINED = (
    MONITORS + 'inhibit: [{when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}]\n'
)
SPARED = "over_while_muted"


@pytest.mark.parametrize("how", ["a window", "a silence"])
def test_what_waits_for_its_summary_is_summed_up_when_a_mute_that_began_later_ends(tell, how):
    """Four hours of a critical incident, over at 4:40, to be summed up at 6:30."""
    windows = '\nwindows: {night: {mutes: ["endpoint=signs"], every: "daily 18:00-19:00"}}'
    story = tell(BUDGET + (windows if how == "a window" else ""))
    flap(story, 4)
    story.at("40m").raises("stop")
    story.at("4h40m").clears("stop")
    if how == "a silence":
        story.at("5h").silences("endpoint=signs", length="2h", by="ada", reason="deploy")
    for number in range(3):
        story.expect_all("firing", f"{number * 10}m")
        story.expect_all("resolved", f"{number * 10 + 5}m")
    story.expect_all("digest", "30m")
    story.expect_all("digest", "7h", "7h1m", contains="comes and goes: 1")
    story.ends("20h")
    assert SPARED not in read_trail(story, "stop")
    assert story.world.alerts.list_due() == []


def test_what_a_receiver_that_was_down_is_owed_outlives_a_silence(tell):
    story = tell()
    story.at("0s").goes_down("on-call/mail", back="2h")
    story.at("1m").raises("stop")
    story.at("40m").clears("stop")
    story.at("50m").silences("endpoint=signs", length="3h", by="ada", reason="deploy")
    story.expect("on-call/slack", "firing", "1m")
    story.expect("on-call/slack", "resolved", "40m")
    story.expect("on-call/mail", "firing", "3h50m", "3h51m")
    story.expect("on-call/mail", "resolved", "3h50m", "3h51m")
    story.ends("20h")
    assert SPARED not in read_trail(story, "stop")
    assert story.world.alerts.list_due() == []


def test_what_waits_for_company_is_told_when_what_explains_it_since_is_over(tell):
    story = tell(EXPLAINED)
    story.at("0m").raises("yield", severity="warning")
    story.at("1m").raises("stop", severity="warning")
    story.at("2m").clears("stop")
    story.at("3m").raises("other", severity="critical", kind="confidence")
    story.at("1h").clears("other")
    story.at("2h").clears("yield")
    story.play_only("20h")
    mails = [(one.kind, one.at - story.at("0s").now) for one in story.ears.heard if "mail" in one.target]
    assert [(kind, str(at)) for kind, at in mails] == [
        ("firing", "0:00:00"),
        ("firing", "0:03:00"),
        ("resolved", "1:00:00"),
        ("firing", "1:00:00"),
        ("resolved", "2:00:00"),
    ]
    told = [
        one.text
        for one in story.ears.heard
        if "mail" in one.target and "Class stop" in " ".join(one.text.split())
    ]
    assert len(told) == 2
    assert SPARED not in read_trail(story, "stop")


def test_what_ends_muted_is_told_to_nobody_whatever_mutes_it_afterwards(tell):
    story = tell()
    story.at("0s").silences("endpoint=signs", length="1h", by="ada", reason="known")
    story.at("1m").raises("stop")
    story.at("40m").clears("stop")
    story.at("50m").silences("endpoint=signs", length="3h", by="ada", reason="deploy")
    story.ends("20h")
    assert SPARED in read_trail(story, "stop")
