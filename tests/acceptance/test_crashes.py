"""A function dies right after a write to the outside, once after each: whoever was told hears the end, late, perhaps twice."""

from __future__ import annotations

import pytest

from sagewatch.memory.items import MemoryItems
from tests.acceptance.conftest import MONITORS
from tests.acceptance.fuse import Fuse
from tests.acceptance.language import Story

WAITING = "routes: {receiver: on-call, group_wait: 30s}\n"


def play_with_fuse(items, limit, monitors=MONITORS):
    story = Story(items, monitors)
    fuse = Fuse(story, limit)
    story.at("0s").raises("stop")
    story.at("1s").raises("yield")
    story.at("10m").clears("stop")
    story.at("20m").clears("yield")
    story.play_only("2h")
    return story, fuse.blown


def play_a_life_with_fuse(items, limit):
    """One incident, from its beginning over its worsening to its end."""
    story = Story(items, MONITORS)
    fuse = Fuse(story, limit)
    story.at("0s").raises("stop", severity="warning")
    story.at("5m").raises("stop", severity="critical")
    story.at("10m").clears("stop")
    story.play_only("1h")
    return story, fuse.blown


def list_kinds(story, target):
    return [one.kind for one in story.ears.heard if one.target == target]


def check_all_told(story, limit):
    for target in ("on-call/mail", "on-call/slack"):
        kinds = list_kinds(story, target)
        assert kinds, limit
        assert kinds[0] == "firing", (limit, kinds)
        assert [kind for kind in kinds if kind != "updated"][-1] == "resolved", (limit, kinds)
        # What a crash repeats is the one message whose sender died after sending.
        assert kinds.count("resolved") <= 2, (limit, kinds)
        assert kinds.count("firing") <= 4, (limit, kinds)
    assert story.world.alerts.list_due() == [], limit


def test_killed_after_any_single_write_on_either_store_a_whole_life_is_told(new_items):
    limit, blown = 0, True
    while blown:
        limit += 1
        with new_items() as items:
            story, blown = play_a_life_with_fuse(items, limit)
            check_all_told(story, limit)
        for target in ("on-call/mail", "on-call/slack"):
            kinds = list_kinds(story, target)
            assert kinds.count("worsened") in {1, 2}, (limit, kinds)
            assert len(kinds) <= (4 if blown else 3) + kinds.count("updated"), (limit, kinds)
    assert limit > 40


def test_killed_after_any_single_write_everybody_still_hears_all():
    limit, blown = 0, True
    while blown:
        limit += 1
        story, blown = play_with_fuse(MemoryItems(), limit)
        check_all_told(story, limit)
    assert limit > 30


def test_killed_after_any_single_write_a_group_that_waits_is_still_told_all():
    limit, blown = 0, True
    while blown:
        limit += 1
        story, blown = play_with_fuse(MemoryItems(), limit, MONITORS + WAITING)
        check_all_told(story, limit)
    assert limit > 30


def test_killed_after_any_single_write_what_is_refused_for_good_is_still_a_dead_letter():
    limit, blown = 0, True
    while blown:
        limit += 1
        story = Story(MemoryItems(), MONITORS)
        fuse = Fuse(story, limit)
        story.at("0s").refuses("on-call/slack", "channel_not_found")
        story.at("1s").raises("stop")
        story.play_only("20m")
        blown = fuse.blown
        assert story.wakeups.dead, limit
        assert {reason for _, reason in story.wakeups.dead} == {"on-call/slack: channel_not_found"}
    assert limit > 10


@pytest.mark.parametrize("limit", [1, 2, 5, 8, 12, 17, 23, 30, 40, 55, 70, 85])
def test_killed_after_a_write_on_either_store_everybody_still_hears_all(items, limit):
    story, blown = play_with_fuse(items, limit)
    assert blown
    check_all_told(story, limit)
