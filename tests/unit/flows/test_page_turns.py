"""Two functions write the same page at once, in any order: page, manifest and index end as the table says."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import msgspec
import pytest

from sagewatch.cli.bundle import BundleUnfinishedError, fetch_bundle
from sagewatch.entry import handle
from sagewatch.errors import RejectedInputError, RetryError
from sagewatch.evidence.bundle import MANIFEST, build_manifest, encode_manifest
from sagewatch.flows.act_by_hand import resolve_incident
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.evidence import INDEX_KEY, build_page_key
from sagewatch.flows.incident_page import hold_page, owes_page, write_page
from sagewatch.flows.tick import tick
from sagewatch.incident.page_turn import AT_ONCE, WRITER_LASTS, begin_turn, is_worth_waking
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.cli.stores import INCIDENT, build_store

TICK = {"id": "t", "source": "sagewatch", "detail-type": "Tick", "time": "2026-11-21T20:36:00Z"}


class Watched:
    """Objects at whose n-th writing something else happens first."""

    def __init__(self, objects, at, happen):
        self.objects, self.left, self.happen = objects, at, happen

    def __getattr__(self, name):
        return getattr(self.objects, name)

    def put_object(self, bucket, key, body, content_type):
        self.left -= 1
        if self.left == 0:
            self.happen()
        self.objects.put_object(bucket, key, body, content_type)


def count_writings():
    _, world = build_store()
    watched = Watched(world.objects, 0, None)
    write_page(INCIDENT, dataclasses.replace(world, objects=watched))
    return -watched.left


def is_shown(store, folder):
    """The bundle is as its manifest says, and page and index say what the table says."""
    fetch_bundle(INCIDENT, folder, store)
    state = store.state.load_incident(INCIDENT).state
    page = (folder / "index.html").read_text()
    index = store.objects.open_object("evidence", INDEX_KEY).read().decode()
    said = "Resolved" if re.search(r'class="status">.{0,80}?Resolved', page, re.DOTALL) else "Firing"
    assert said == ("Resolved" if state == "resolved" else "Firing")
    assert re.findall(r'data-state="(\w+)"', index) == [state]


def resolve(world):
    world.now.move(timedelta(seconds=2))
    resolve_incident(INCIDENT, by="ada", reason="camera was turned", world=world)


@pytest.mark.parametrize("at", range(1, 1 + count_writings()))
def test_wherever_another_writes_between_the_newest_state_stays(at, tmp_path):
    store, world = build_store()

    def happen():
        resolve(world)
        write_page(INCIDENT, world)

    write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, at, happen)))
    is_shown(store, tmp_path / "bundle")


@pytest.mark.parametrize("at", range(1, 1 + count_writings()))
def test_what_changes_while_a_page_is_written_is_written_too(at, tmp_path):
    store, world = build_store()
    objects = Watched(world.objects, at, lambda: resolve(world))
    write_page(INCIDENT, dataclasses.replace(world, objects=objects))
    is_shown(store, tmp_path / "bundle")


@pytest.mark.parametrize("at", range(1, 1 + count_writings()))
@pytest.mark.parametrize("crossed", [False, True])
def test_a_writer_that_is_killed_anywhere_is_made_up_for_by_the_next_tick(at, crossed, tmp_path):
    store, world = build_store()

    def happen():
        resolve(world)
        if crossed:
            write_page(INCIDENT, world)
        raise RetryError("killed")

    with pytest.raises(RetryError):
        write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, at, happen)))
    world.now.move(WRITER_LASTS)
    told = len(world.bus.events)
    handle(tick, TICK, world)
    for event in world.bus.events[told:]:
        if event["detail-type"] == "Alert Due":
            handle(deliver_alert, event, world)
    is_shown(store, tmp_path / "bundle")
    assert world.state.list_turns().keys() == {INCIDENT, "index"}
    assert not any(one.writers or one.crossed for one in world.state.list_turns().values())


def test_a_page_that_others_cross_every_time_comes_again():
    _, world = build_store()

    class Crossed(Watched):
        def put_object(self, bucket, key, body, content_type):
            world.objects.put_object(bucket, key, body, content_type)
            if key == build_page_key(INCIDENT):
                write_page(INCIDENT, world)

    with pytest.raises(RetryError, match="page_was_crossed"):
        write_page(INCIDENT, dataclasses.replace(world, objects=Crossed(world.objects, 0, None)))


def test_a_placeholder_takes_no_page_away():
    _, world = build_store()
    page = world.objects.bodies["evidence", build_page_key(INCIDENT)]

    class Late(Watched):
        def open_object(self, bucket, key):
            return None

    hold_page(INCIDENT, dataclasses.replace(world, objects=Late(world.objects, 0, None)))
    assert world.objects.bodies["evidence", build_page_key(INCIDENT)] == page


def test_an_incident_that_cannot_be_read_keeps_nobody_elses_page_waiting():
    _, world = build_store()
    world.now.move(timedelta(seconds=2))
    unreadable = f"0{INCIDENT[1:]}"
    for page in (unreadable, INCIDENT):
        turn, _ = begin_turn(world.state.load_turn(page), world.now())
        world.state.save_turn(page, turn, world.now())
    row = Item(f"incident#{unreadable}", "meta", b'{"state": 7}', 1)
    world.state.items.write([Write(row, ANY_VERSION)])
    world.now.move(WRITER_LASTS)
    told = len(world.bus.events)
    with pytest.raises(RejectedInputError, match="cannot be read"):
        handle(tick, TICK, world)
    due = [event["detail"] for event in world.bus.events[told:] if event["detail-type"] == "Alert Due"]
    assert INCIDENT in {one["incident_id"] for one in due}


def test_a_page_that_cannot_be_written_is_tried_seldom_and_written_by_whoever_is_woken():
    """Each attempt is received eight times and ends as a dead letter: four an hour, not sixty."""
    _, world = build_store()

    def fail():
        raise RetryError("denied")

    world.now.move(timedelta(seconds=58))
    woken = []
    for minute in range(180):
        world.now.move(timedelta(minutes=1))
        if is_worth_waking(world.state.load_turn(INCIDENT), world.now()) or not minute:
            woken.append(minute)
            with pytest.raises(RetryError):
                write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, 1, fail)))
    assert len([minute for minute in woken if minute < 60]) > AT_ONCE
    assert 4 <= len([minute for minute in woken if minute >= 120]) <= 5
    # Whoever is woken may come in the next minute, and writes all the same.
    world.now.move(WRITER_LASTS)
    while is_worth_waking(world.state.load_turn(INCIDENT), world.now()):
        world.now.move(timedelta(minutes=1))
    assert owes_page(world.state.load_incident(INCIDENT), world)
    write_page(INCIDENT, world)
    assert world.state.load_turn(INCIDENT).broken == 0


@pytest.mark.parametrize("seconds", [2, 30, 110])
def test_who_fetches_a_bundle_while_it_is_written_gets_it_whole_however_long_that_takes(tmp_path, seconds):
    store, world = build_store()
    key = ("evidence", f"incidents/{INCIDENT}/index.html")
    whole = world.objects.bodies[key]
    waited = []

    def be_fetched():
        """In the middle of a writing, which goes on when so many seconds have passed."""
        world.objects.bodies[key] = b"newer than the manifest"
        assert "index.html" in fetch_bundle(INCIDENT, tmp_path, store, wait)

    def wait(length):
        waited.append(length)
        world.now.move(timedelta(seconds=length))
        if sum(waited) >= seconds:
            world.objects.bodies[key] = whole

    write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, 2, be_fetched)))
    assert sum(waited) == seconds


def test_a_bundle_that_is_not_as_its_manifest_says_while_nobody_writes_is_refused_at_once(tmp_path):
    store, world = build_store()
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/index.html"] = b"forged"
    with pytest.raises(RejectedInputError, match=r"not as the manifest says: 'index\.html'"):
        fetch_bundle(INCIDENT, tmp_path, store, pytest.fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "told", "is_forged"),
    [
        (("explain/0-overlay.png", "requests.json", "endpoint-configs.json"), False, False),
        (("explain/0-overlay.png",), True, True),
        (("explain/0-overlay.png", "index.html"), False, True),
    ],
    ids=["a diagnosis is at it", "none is", "not all of it is a diagnosis's"],
)
def test_what_another_diagnosis_writes_before_its_end_is_not_called_forged(
    tmp_path, changed, told, is_forged
):
    store, world = build_store()
    for path in changed:
        world.objects.bodies["evidence", f"incidents/{INCIDENT}/{path}"] = b"{}"
    write_manifest(world, changed)
    under_way = world.state.load_diagnosis("signs")
    world.state.save_diagnosis(msgspec.structs.replace(under_way, told=told), [])
    for path in changed:
        world.objects.bodies["evidence", f"incidents/{INCIDENT}/{path}"] = b'{"of": "the second"}'
    with pytest.raises(RejectedInputError if is_forged else BundleUnfinishedError) as refused:
        fetch_bundle(INCIDENT, tmp_path, store, pytest.fail)
    assert "explain/0-overlay.png" in str(refused.value)
    assert ("another diagnosis writes into it" in str(refused.value)) is not is_forged
    assert list(tmp_path.iterdir()) == []


def write_manifest(world, paths):
    """The manifest of the bundle with these files in it."""
    key = "evidence", f"incidents/{INCIDENT}/{MANIFEST}"
    there = msgspec.json.decode(world.objects.bodies[key])
    names = {*(row["path"] for row in there["files"]), *paths}
    files = {name: world.objects.bodies["evidence", f"incidents/{INCIDENT}/{name}"] for name in names}
    world.objects.bodies[key] = encode_manifest(build_manifest(INCIDENT, world.now(), files))


def test_for_a_page_that_cannot_be_written_nobody_waits(tmp_path):
    store, world = build_store()

    def die():
        raise RetryError("throttled")

    for _ in range(AT_ONCE + 1):
        with pytest.raises(RetryError):
            write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, 2, die)))
        world.now.move(WRITER_LASTS)
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/index.html"] = b"newer than the manifest"
    with pytest.raises(BundleUnfinishedError, match=rf"cut short, {AT_ONCE} times before too"):
        fetch_bundle(INCIDENT, tmp_path, store, pytest.fail)


def test_a_bundle_whose_writer_was_cut_short_is_not_called_forged(tmp_path):
    store, world = build_store()

    def die():
        raise RetryError("throttled")

    with pytest.raises(RetryError):
        write_page(INCIDENT, dataclasses.replace(world, objects=Watched(world.objects, 2, die)))
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/index.html"] = b"newer than the manifest"
    with pytest.raises(BundleUnfinishedError, match="whoever wrote it was cut short"):
        fetch_bundle(INCIDENT, tmp_path, store, lambda length: world.now.move(timedelta(seconds=length)))
    assert list(tmp_path.iterdir()) == []
