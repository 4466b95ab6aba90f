"""The evidence bucket cannot be used: everybody is told at once all the same, once, and the page is made up for."""

from __future__ import annotations

import pytest

from sagewatch.errors import RefusedError, RetryError
from sagewatch.evidence.bundle import MANIFEST, read_incident_version
from sagewatch.flows.evidence import build_page_key
from sagewatch.memory.items import MemoryItems
from tests.acceptance.conftest import MONITORS
from tests.acceptance.fuse import Fuse
from tests.acceptance.language import Story

DOWN = RetryError("ServiceUnavailable", perhaps_taken=True)
HANGS = RetryError("TimeoutError", perhaps_taken=True)
DENIED = RefusedError("PutObject", "AccessDenied", "explicit deny")
WAYS = pytest.mark.parametrize(
    ("error", "reads", "after"),
    [(DOWN, True, "0s"), (DENIED, True, "0s"), (DENIED, False, "0s"), (HANGS, True, "5s")],
    ids=["503", "denied", "writing is denied", "hangs"],
)
LETTERS = MONITORS.replace("mail: {}", "html-mail: {sender: a@example.com, to: [b@example.com]}")


def is_whole(story, name):
    """The page is there and of the incident's newest state, and nobody owes it any more."""
    incident = story.world.state.load_incident(story.find(name))
    folder = f"incidents/{incident.incident_id}/"
    turn = story.world.state.load_turn(incident.incident_id)
    return (
        ("evidence", build_page_key(incident.incident_id)) in story.bucket.bodies
        and read_incident_version(story.bucket.bodies["evidence", folder + MANIFEST]) == incident.version
        and not (turn.writers or turn.crossed)
    )


@WAYS
def test_everybody_is_told_at_once_and_once_and_the_page_is_made_up_for(tell, error, reads, after):
    story = tell()
    story.at("0s").breaks_the_bucket(error, back="20m", reads=reads, after=after)
    story.at("1s").raises("stop")
    story.at("10m").clears("stop")
    story.expect_all("firing", "1s")
    story.expect_all("resolved", "10m", "11m")
    story.ends("50m")
    assert story.bucket.asked
    assert story.wakeups.dead == []
    assert is_whole(story, "stop")


@WAYS
def test_what_comes_while_the_bucket_is_broken_waits_for_no_page(tell, error, reads, after):
    story = tell(MONITORS + "routes: {receiver: on-call, group_by: [incident]}")
    story.at("0s").breaks_the_bucket(error, back="2m", reads=reads, after=after)
    names = [f"sign-{number}" for number in range(3)]
    for name in names:
        story.at("1s").raises(name)
        story.expect_all("firing", "1s", "31s", contains=name)
    story.ends("40m")
    assert all(is_whole(story, name) for name in names)


@WAYS
def test_a_letter_goes_without_its_pictures(tell, error, reads, after):
    story = tell(LETTERS)
    story.at("0s").raises("stop")
    story.at("2m").explains("stop")
    story.at("3m").breaks_the_bucket(error, back="4m", reads=reads, after=after)
    story.at("3m").clears("stop")
    story.play_only("40m")
    letters = [one for one in story.ears.heard if one.target == "on-call/html_mail"]
    assert [one.kind for one in letters] == ["firing", "resolved"]
    assert story.wakeups.dead == []
    assert letters[-1].text.endswith("0 pictures" if reads else "1 pictures")
    assert is_whole(story, "stop")


def test_whoever_dies_after_telling_leaves_the_page_to_others():
    number, blown = 0, True
    while blown:
        number += 1
        story = Story(MemoryItems(), MONITORS)
        fuse = Fuse(story, number)
        story.at("0s").raises("stop")
        story.play_only("30m")
        blown = fuse.blown
        assert story.texts("on-call/mail"), number
        assert is_whole(story, "stop"), number
    assert number > 10


def test_whoever_dies_after_a_reminder_leaves_a_page_that_comes_to_list_it():
    number, blown = 0, True
    while blown:
        number += 1
        story = Story(MemoryItems(), MONITORS + "routes: {receiver: on-call, repeat_interval: 1h}")
        story.at("0s").raises("stop")
        story.play_only("59m")
        fuse = Fuse(story, number)
        story.play_only("1h40m")
        blown = fuse.blown
        page = story.bucket.bodies["evidence", build_page_key(story.find("stop"))].decode()
        told = story.world.state.load_entries(story.find("stop"))
        reminders = sum(one.what == "alert_sent" and one.data["kind"] == "repeated" for one in told)
        assert reminders, number
        assert page.count("repeated") >= reminders, number
        assert is_whole(story, "stop"), number
    assert number > 5


def test_a_thousand_that_share_a_message_are_no_thousand_pages(tell):
    story = tell()
    names = [f"sign-{number}" for number in range(20)]
    for name in names:
        story.at("0s").raises(name)
    story.play_only("1h")
    pages = [key for _, key in story.bucket.bodies if key.endswith("index.html")]
    assert len(pages) <= 4, pages  # those that a message began with, and the list of all


def test_pictures_that_could_not_be_read_are_shared_later_and_once(tell):
    story = tell(MONITORS.replace(", mail: {}", ""))
    story.at("0s").raises("stop")
    story.at("2m").explains("stop")
    story.at("2m").breaks_the_bucket(DENIED, back="10m")
    story.play_only("40m")
    assert len(story.texts("on-call/uploads")) == 1


def test_a_dead_letter_that_is_sent_again_while_the_bucket_is_broken_asks_its_receiver_once(tell):
    story = tell()
    story.at("0s").refuses("on-call/slack", "channel_not_found")
    story.at("1s").raises("stop")
    story.at("40m").breaks_the_bucket(DENIED, back="70m")
    story.at("40m").does(lambda told: told.bus.publish([told.wakeups.dead[0][0]], told.clock.now))
    story.play_only("69m")
    assert story.count_asked("on-call/slack") == 2
    assert len(story.wakeups.dead) == 2
