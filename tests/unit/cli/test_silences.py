"""Silences at the command line: added for now, for later, for every week; listed; ended."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.cli.stores import FOUND, build_store
from tests.unit.cli.test_incidents import run
from tests.unit.flows.worlds import Pump


@pytest.fixture
def stack():
    return build_store()


def add(store, *arguments):
    return json.loads(
        run(
            store,
            "silences",
            "add",
            "endpoint=signs",
            "--reason",
            "release",
            "--by",
            "ada",
            "--json",
            *arguments,
        )
    )


def list_rows(store, *arguments):
    return json.loads(run(store, "silences", "list", "--json", *arguments))


def standing(store, made):
    (row,) = [one for one in list_rows(store, "--ended") if one["silence_id"] == made["silence_id"]]
    return row["standing"]


def test_a_silence_lasts_two_hours_from_now_where_nothing_else_is_said(stack):
    store, world = stack
    made = add(store)
    kept = world.alerts.load_silence(made["silence_id"])
    assert (kept.starts_at, kept.ends_at) == (FOUND, FOUND + timedelta(hours=2))
    assert (kept.by, kept.reason, kept.matchers) == ("ada", "release", ("endpoint=signs",))
    assert standing(store, made) == "mutes"
    world.now.move(timedelta(hours=2))
    assert standing(store, made) == "ended"


@pytest.mark.parametrize("start", ["3h", "2026-11-21T23:34:05Z"])
@pytest.mark.parametrize("end", [("--for", "1h"), ("--until", "4h"), ("--until", "2026-11-22T00:34:05Z")])
def test_a_silence_may_begin_later(stack, start, end):
    store, world = stack
    made = add(store, "--from", start, *end)
    kept = world.alerts.load_silence(made["silence_id"])
    assert (kept.starts_at, kept.ends_at) == (FOUND + timedelta(hours=3), FOUND + timedelta(hours=4))
    assert standing(store, made) == "coming"
    world.now.move(timedelta(hours=3))
    assert standing(store, made) == "mutes"


def test_a_silence_may_come_again_every_week(stack):
    store, world = stack
    made = add(store, "--every", "Sun 02:00-04:00 Europe/Berlin", "--for", "30d")
    told = run(store, "silences", "list")
    assert "silent each Sun 02:00-04:00 Europe/Berlin from 2026-11-21 20:34:05 UTC" in told
    assert standing(store, made) == "rests"  # a Saturday evening
    world.now.move(timedelta(hours=5))
    assert standing(store, made) == "mutes"


def test_two_that_differ_only_in_their_stretches_are_two(stack):
    store, _ = stack
    ids = {
        add(store, "--every", every, "--for", "30d")["silence_id"]
        for every in ("Sun 02:00-04:00", "Sun 03:00-04:00")
    }
    assert len(ids) == 2


def test_an_end_is_by_somebody_and_lets_speak_at_once(stack):
    store, world = stack
    pump = Pump(world)
    pump.run()
    made = add(store)
    before = len(world.bus.events)
    told = run(store, "silences", "end", made["silence_id"][:6], "--by", "bob")
    assert "ended by bob" in told
    assert [one["detail-type"] for one in world.bus.events[before:]] == ["Alert Due"]
    assert standing(store, made) == "ended"
    assert made["silence_id"] not in run(store, "silences", "list")


def test_an_end_wakes_nobody_whom_the_silence_did_not_concern(stack):
    store, world = stack
    (other,) = list_rows(store)
    before = len(world.bus.events)
    run(store, "silences", "end", other["silence_id"], "--by", "bob")
    assert world.bus.events[before:] == []


def test_what_was_never_begun_is_ended_too(stack):
    store, _ = stack
    made = add(store, "--from", "3h")
    run(store, "silences", "end", made["silence_id"])
    assert standing(store, made) == "ended"


def test_it_says_how_many_open_incidents_it_matches(stack):
    store, _ = stack
    told = run(store, "silences", "add", "endpoint=signs", "--reason", "x")
    assert "It matches 1 of the incidents that are open now." in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["endpoint=signs", "--for", "2x"], "--for: must be a duration"),
        (["endpoint=signs", "--until", "1h", "--for", "1h"], "--until: and --for exclude each other"),
        (["endpoint=signs", "--every", "Sun 02:00-04:00"], "--every: needs --for or --until"),
        (["endpoint=signs", "--every", "Sun 2-4", "--for", "1d"], "--every: must be like"),
        (["endpoint=signs", "--from", "2026-11-21T20:34:04Z"], "--from: must not lie in the past"),
        (["endpoint=signs", "--from", "soon"], "--from: must be a time"),
        (["endpoint=signs", "--from", "2h", "--until", "1h"], "--until: must be after the start"),
        (["endpoint"], "needs =, !=, =~ or !~"),
        (["color=red"], "no such label"),
        (["severity=high"], "names no severity"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_its_option(stack, arguments, told):
    store, world = stack
    before = world.alerts.list_silences(None)
    with pytest.raises(ConfigurationError, match=told):
        run(store, "silences", "add", "--reason", "x", *arguments)
    assert world.alerts.list_silences(None) == before


def test_an_unknown_silence_is_not_ended(stack):
    store, _ = stack
    with pytest.raises(RejectedInputError, match="silences list"):
        run(store, "silences", "end", "ffff")


def test_half_an_id_that_also_begins_one_that_cannot_be_read_ends_neither(stack):
    store, world = stack
    made = add(store, "--for", "1h")
    lost = f"{made['silence_id'][:4]}gone"
    world.state.items.write([Write(Item("silences", lost, b"junk"), ANY_VERSION)])
    with pytest.raises(RejectedInputError, match=rf"begins 2 ids \(.*{lost} \(cannot be read\)\)"):
        run(store, "silences", "end", lost[:4])
    with pytest.raises(RejectedInputError, match="cannot be read, and silences nothing"):
        run(store, "silences", "end", lost)
    assert standing(store, made) == "mutes"


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_id_ends_no_silence_though_there_is_one_alone(text):
    """A variable of the shell that is not set."""
    store, world = build_store()
    (only,) = world.alerts.list_silences(None)
    with pytest.raises(RejectedInputError, match="is no id: it is empty"):
        run(store, "silences", "end", text)
    assert world.alerts.list_silences(None) == (only,)
