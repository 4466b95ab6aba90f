"""The evidence bundle: everything that is kept of an incident is in it, and can be checked."""

from __future__ import annotations

import hashlib
import json

from sagewatch.entry import handle
from sagewatch.flows.manage_incident import manage_incident
from tests.unit.flows.worlds import Pump, build_event, build_finding, build_world, record_and_settle


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
