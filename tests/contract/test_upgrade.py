"""What an older version stored is read by this one, and its unfinished work is finished.

``stored/<version>.json`` are the rows of the state table as that version wrote them, in the middle of a diagnosis. A file
is written once, with its version (``WRITE_STORED=1 pytest tests/contract/test_upgrade.py``), and never again: a change
that makes an old file unreadable gives its field a default instead.
"""

from __future__ import annotations

import base64
import json
import os
import random
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from sagewatch.entry import handle
from sagewatch.events import FindingReported, Ticked
from sagewatch.finding import Stream
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.tick import tick
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.flows.captures import draw_clean, put_file
from tests.unit.flows.worlds import NOW, Pump, build_finding, build_world, record_and_settle

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "stored"
STREAM = Stream("signs", "AllTraffic")


def play_until_observing():
    """A world in which captures were counted, an incident is open and told, and its endpoint records."""
    world, rng = build_world(), random.Random(4)
    for n in range(4):
        world.now.now = NOW - timedelta(minutes=4 - n)
        event = put_file(world, draw_clean(60, rng), world.now(), number=n)
        follow_up = handle(ingest_capture, event, world)
        if follow_up is not None:
            follow_up.run()
    world.now.now = NOW
    pump = Pump(world)
    world.bus.publish([FindingReported(build_finding())], NOW)
    pump.run()
    return world


def dump(world):
    return [
        {
            "pk": row.pk, "sk": row.sk, "version": row.version, "expires_at": row.expires_at,
            "body": base64.b64encode(row.body).decode(),
        }
        for _, row in sorted(world.state.items.rows.items())
    ]  # fmt: skip


def seed(rows):
    """A new world that finds these rows in its table, and the endpoint as the old one left it."""
    world = play_until_observing()
    for row in list(world.state.items.rows.values()):
        world.state.items.delete(row.pk, row.sk, row.version)
    for row in rows:
        body = base64.b64decode(row["body"])
        item = Item(row["pk"], row["sk"], body, row["version"], row["expires_at"])
        world.state.items.write([Write(item, ANY_VERSION)])
    return world


def test_the_present_version_has_its_file():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    path = FOLDER / f"{version}.json"
    if os.environ.get("WRITE_STORED"):  # noqa: TID251 - a switch of the tests, not of the product
        FOLDER.mkdir(exist_ok=True)
        path.write_text(json.dumps(dump(play_until_observing()), indent=1) + "\n")
    assert path.is_file(), "WRITE_STORED=1 pytest tests/contract/test_upgrade.py, once a version"


@pytest.fixture(params=sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def stored(request):
    return json.loads(request.param.read_text())


def test_the_file_holds_every_kind_of_row_that_such_a_moment_has(stored):
    kinds = {(row["pk"].split("#")[0], row["sk"].split("#")[0]) for row in stored}
    assert kinds >= {("stream", "segment"), ("stream", "checkpoint"), ("incident", "meta"), ("incident", "diagnosis"),
                     ("incident", "event"), ("open", "open"), ("diagnosis", "lease"), ("group", "ledger")}  # fmt: skip
    assert all(row["version"] >= 1 for row in stored)


def test_the_rows_of_an_older_version_are_read(stored):
    world = seed(stored)
    (incident_id,) = {row["pk"].partition("#")[2] for row in stored if row["pk"].startswith("incident#")}
    state = world.state
    assert state.load_incident(incident_id).endpoint == "signs"
    assert state.load_diagnosis("signs").incident_id == incident_id
    assert [segment.predictions for segment in state.load_segments(STREAM, None)] == [60] * 4
    assert state.load_checkpoint(STREAM)[0] is not None
    assert state.load_entries(incident_id)
    assert state.list_streams("signs") == [STREAM]
    assert list(world.alerts.list_due())


def test_what_the_older_version_had_begun_is_finished_by_this_one(stored):
    world = seed(stored)
    pump = Pump(world)
    pump._done = len(world.bus.events)
    told = len(world.chat.posted)
    for _ in range(8):
        record_and_settle(world)
        world.now.move(timedelta(minutes=1))
        tick(Ticked(world.now()), world)
        pump.run()
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.phase, diagnosis.outcome) == ("finished", "explained")
    assert world.hosting.describe_endpoint("signs")["EndpointConfigName"] == diagnosis.original_config
    world.bus.publish([FindingReported(build_finding(cleared_at=world.now()))], world.now())
    pump.run()
    assert world.state.load_incident(diagnosis.incident_id).state == "resolved"
    assert len(world.chat.posted) == told, "the older version's message is changed, no second one is posted"
