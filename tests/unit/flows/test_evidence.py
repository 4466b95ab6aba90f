"""The evidence bundle: everything that is kept of an incident is in it, and can be checked."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random
import re
import tracemalloc
from datetime import timedelta

import pytest

from sagewatch.capture import Segment
from sagewatch.entry import handle
from sagewatch.flows.evidence import load_class_names
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.samples import load_clean
from sagewatch.monitors import parse_monitors, read_monitors
from tests.unit.evidence.story import GREY
from tests.unit.flows.captures import draw_attacked, draw_clean, put_files
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)


def read_bundle(world):
    prefix = "incidents/" + next(iter(world.state.list_incidents())).incident_id + "/"
    return {
        key.removeprefix(prefix): body
        for (bucket, key), body in world.objects.bodies.items()
        if bucket == "evidence" and key.startswith(prefix)
    }


def diagnose():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    record_and_settle(world)
    return world


def test_the_manifest_names_every_file_of_the_bundle_with_its_fingerprint():
    bundle = read_bundle(diagnose())
    listed = {row["path"]: row["sha256"] for row in json.loads(bundle.pop("manifest.json"))["files"]}
    assert listed == {name: hashlib.sha256(body).hexdigest() for name, body in bundle.items()}
    assert {"index.html", "findings.json", "captures.jsonl", "endpoint-configs.json"} <= listed.keys()


def test_the_recorded_tensors_are_listed_with_size_and_entity_tag():
    world = diagnose()
    listing = json.loads(read_bundle(world)["tensors.json"])
    keys = [row["key"] for row in listing["objects"]]
    assert keys == world.objects.list_objects("evidence", "tensors/")
    assert len(keys) >= 4
    assert listing["total_bytes"] == sum(row["size_bytes"] for row in listing["objects"])
    assert all(len(row["etag"]) == 32 for row in listing["objects"])


def tell_of_named_inputs(monitors, secret, encoding="JSON"):
    """An incident whose captured inputs hold a secret; its world and its id."""
    world = build_world(monitors)
    rng = random.Random(1)
    events = put_files(world, draw_clean(300, rng) + draw_attacked(60, rng), NOW)
    for place, body in list(world.objects.bodies.items()):
        lines = [json.loads(line) for line in body.decode().splitlines()]
        for line in lines:
            line["captureData"]["endpointInput"] |= {"data": secret, "encoding": encoding}
        world.objects.bodies[place] = "\n".join(map(json.dumps, lines)).encode() + b"\n"
    pump = Pump(world)
    for event in events:
        handle(ingest_capture, event, world)
        pump.run()
    return world, next(iter(world.state.list_incidents())).incident_id


def watch_as(monitors, world):
    return dataclasses.replace(world, monitors=parse_monitors(monitors, "monitors.yml"))


SENSITIVE = MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [ssn]\n")


@pytest.mark.parametrize(
    "changed",
    [MONITORS, MONITORS.replace("  signs:\n", "  other:\n"), SENSITIVE.replace("[ssn]", "[zip]")],
    ids=["no longer sensitive", "endpoint taken out", "another field"],
)
def test_what_a_page_withheld_once_stays_withheld(changed):
    world, incident_id = tell_of_named_inputs(SENSITIVE, json.dumps({"age": 30, "ssn": "SECRET-1"}))
    world.now.move(timedelta(days=3))
    for _ in range(2):
        write_page(incident_id, watch_as(changed, world))
        assert not [name for name, body in read_bundle(world).items() if b"SECRET" in body]


def test_the_bundle_names_the_classes_for_whoever_has_no_monitors_file(tmp_path):
    (tmp_path / "names.csv").write_text("ClassId,SignName\n14,Stop\n")
    (tmp_path / "monitors.yml").write_text(
        MONITORS.replace("  signs:\n", "  signs:\n    capture: {classes: names.csv}\n", 1)
    )
    monitors = read_monitors(tmp_path / "monitors.yml")
    world, incident_id = tell_of_named_inputs(MONITORS, json.dumps({"age": 30}))
    assert load_class_names(incident_id, world) == {}
    assert "classes.json" not in read_bundle(world)
    world = dataclasses.replace(world, monitors=monitors)
    write_page(incident_id, world)
    assert load_class_names(incident_id, world) == {"14": "Stop"}
    assert '"classes.json"' in read_bundle(world)["manifest.json"].decode()


def test_fields_that_were_never_sensitive_are_shown():
    world, _ = tell_of_named_inputs(MONITORS, json.dumps({"age": 30, "ssn": "SECRET-1"}))
    assert b"SECRET" in read_bundle(world)["captures.jsonl"]


def test_of_an_endpoint_that_nobody_watches_any_more_no_input_is_shown():
    world, incident_id = tell_of_named_inputs(MONITORS, json.dumps({"age": 30, "ssn": "SECRET-1"}))
    write_page(incident_id, watch_as(MONITORS.replace("  signs:\n", "  other:\n"), world))
    assert not [name for name, body in read_bundle(world).items() if b"SECRET" in body]


@pytest.mark.parametrize(
    "hostile", ["[" * 20_000, '{"a":' * 400 + "1" + "}" * 400, '{"a": ' + "9" * 9000 + "}"]
)
def test_no_input_prevents_the_page(hostile):
    world, _ = tell_of_named_inputs(SENSITIVE, hostile)
    assert b"withheld" in read_bundle(world)["captures.jsonl"]


def test_pictures_are_no_fields_and_are_withheld_where_fields_are_sensitive():
    picture = base64.b64encode(GREY).decode()
    for monitors, shown in ((MONITORS, True), (SENSITIVE, False)):
        world, _ = tell_of_named_inputs(monitors, picture, "BASE64")
        assert (picture.encode() in read_bundle(world)["captures.jsonl"]) is shown


def test_of_pictures_that_are_too_many_bytes_for_the_page_it_says_how_large_they_are(monkeypatch):
    monkeypatch.setattr("sagewatch.flows.samples.MOST_BYTES", 2 * len(GREY) + 1)
    world, _ = tell_of_named_inputs(MONITORS, base64.b64encode(GREY).decode(), "BASE64")
    rows = [json.loads(line) for line in read_bundle(world)["captures.jsonl"].splitlines()]
    told = [row["input"] for row in rows if row["media_type"] == "text/plain"]
    assert len(rows) - len(told) == 2
    assert set(told) == {f"a picture of {len(GREY):,} bytes, not shown here"}


@pytest.mark.parametrize(("monitors", "shown"), [(MONITORS, True), (SENSITIVE, False)])
def test_what_the_saliency_job_noted_is_withheld_where_fields_are_sensitive(monitors, shown):
    """A job of an older image notes the words of the owner's code, and these may quote a request."""
    world, incident_id = tell_of_named_inputs(monitors, json.dumps({"age": 30}))
    report = json.dumps({"images": [], "notes": ["the model cannot be replayed: no float: 'SECRET-1'"]})
    key = f"incidents/{incident_id}/explain/explanations.json"
    world.objects.put_object("evidence", key, report.encode(), "application/json")
    write_page(incident_id, world)
    page = read_bundle(world)["index.html"]
    assert (b"SECRET-1" in page) is shown
    assert (b"What the saliency job noted is withheld" in page) is not shown


@pytest.mark.parametrize(("monitors", "shown"), [(MONITORS, True), (SENSITIVE, False)])
def test_heat_maps_are_pictures_of_inputs_too(monitors, shown):
    world = build_world(monitors)
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    (row,) = world.state.list_incidents()
    folder = f"incidents/{row.incident_id}/explain/"
    image = {"input": "1.png", "overlay": "2.png", "worker": "w", "step": 0, "class": "14", "probability": 0.9,
             "completeness_relative_error": 1e-7, "outside_roi_share": 0.2}  # fmt: skip
    world.objects.put_object(
        "evidence", f"{folder}explanations.json", json.dumps({"images": [image]}).encode(), ""
    )
    for name in ("1.png", "2.png"):
        world.objects.put_object("evidence", folder + name, GREY, "image/png")
    # The digest of a small input can be guessed, so what was recorded of which request is withheld, too.
    world.objects.put_object("evidence", f"incidents/{row.incident_id}/requests.json", b"{}", "")
    write_page(row.incident_id, world)
    bundle = read_bundle(world)
    assert ('"requests.json"' in bundle["manifest.json"].decode()) is shown
    assert (base64.b64encode(GREY) in bundle["index.html"]) is shown
    assert (b"Heat maps are withheld" in bundle["index.html"]) is not shown
    assert ("explain/1.png" in bundle["manifest.json"].decode()) is shown


def test_page_and_index_lead_to_each_other_for_whoever_is_signed_in():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    (row,) = world.state.list_incidents()
    console = "https://eu-west-1.console.aws.amazon.com/s3/object/evidence?region=eu-west-1&amp;prefix="
    page_key = f"incidents/{row.incident_id}/index.html"
    assert f'href="{console}incidents/index.html"' in world.objects.bodies["evidence", page_key].decode()
    assert f'href="{console}{page_key}"' in world.objects.bodies["evidence", "incidents/index.html"].decode()


def test_the_page_counts_what_was_captured_of_the_incidents_time():
    world, incident_id = tell_of_named_inputs(MONITORS, "seen")
    world.now.move(timedelta(hours=1))
    write_page(incident_id, world)
    page = read_bundle(world)["index.html"].decode()
    incident = world.state.load_incident(incident_id)
    segments = world.state.load_segments(incident.latest.stream, None)
    answers = [label for one in segments for label in map(one.labels.__getitem__, one.indexes())]
    told = re.search(r"Captures since [\d:]+: ([\d,]+) predictions.*?([\d,]+) of <bdi>class 14", page)
    files = {one.key for one in segments}
    assert int(told[1]) == len(answers)
    assert int(told[2]) == answers.count(incident.subject) > 40
    assert f"the last at {max(one.last_at for one in segments):%H:%M:%S}" in page
    assert f"in {len(files)} file" in page
    world.now.move(timedelta(days=1, hours=23))
    write_page(incident_id, world)
    assert "What was captured before is no longer counted here." in read_bundle(world)["index.html"].decode()
    world.now.move(timedelta(days=3))
    write_page(incident_id, world)
    assert "Captures since" not in read_bundle(world)["index.html"].decode(), "nothing of them is kept"


def test_clean_inputs_of_a_busy_endpoint_are_found_without_holding_each_prediction():
    world = build_world()
    finding = build_finding()
    times = [finding.window.start - timedelta(minutes=n + 1) for n in reversed(range(100))]
    segments = [
        Segment(bucket="captures", key=f"{at}.jsonl", etag="e", stream=finding.stream, labels=("2", "3"),
                classes=bytes(10_000), first_at=at, last_at=at)
        for at in times
    ]  # fmt: skip
    tracemalloc.start()
    load_clean(finding, segments, world)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000  # a million predictions held would be hundreds of megabytes
