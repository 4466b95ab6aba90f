"""The published schemas are the types that are sent, and what flows really send is valid by them."""

from __future__ import annotations

import copy
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sagewatch.cli.event_schemas import build_files, name_file
from sagewatch.entry import handle
from sagewatch.events.facts import DiagnosisChanged, FindingReported, IncidentChanged
from sagewatch.events.parse import _OWN
from sagewatch.flows.act_by_hand import acknowledge_incident
from sagewatch.flows.ingest_capture import ingest_capture
from tests.unit.flows.captures import put_file
from tests.unit.flows.worlds import NOW, Pump, build_finding, build_world, record_and_settle

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference" / "events"
# Not on the bus: schedules send these to a queue.
NOT_PUBLISHED = {"Tick", "Monitor Due", "Canary Due"}


def find_faults(event):
    """What the published schema of the event's type has against it."""
    schema = json.loads((FOLDER / name_file(event["detail-type"])).read_text())
    return [error.message for error in Draft202012Validator(schema).iter_errors(event)]


@pytest.fixture(scope="module")
def sent():
    """Every kind of event as the flows sent it: an incident that was diagnosed, acknowledged and cleared."""
    world = build_world()
    handle(ingest_capture, put_file(world, ["1"] * 9, NOW, spoil=(3,)), world)
    pump = Pump(world)
    world.bus.publish([FindingReported(build_finding())], world.now())
    for _ in range(8):
        pump.run()
        record_and_settle(world)
        world.now.move(timedelta(minutes=1))
    (incident_id,) = {
        e["detail"]["incident_id"] for e in world.bus.events if e["detail-type"] == "Incident Opened"
    }
    acknowledge_incident(incident_id, by="ada", world=world)
    world.bus.publish([FindingReported(build_finding(cleared_at=world.now()))], world.now())
    pump.run()
    # As JSON, which is how the bus carries it.
    return json.loads(json.dumps(world.bus.events))


@pytest.mark.parametrize("name", sorted(build_files()))
def test_a_published_file_is_what_the_types_say(name):
    assert (FOLDER / name).read_text() == build_files()[name], (
        "python -m sagewatch.cli.event_schemas docs/reference/events"
    )


def test_no_file_is_left_of_an_event_that_is_gone():
    assert {path.name for path in FOLDER.iterdir()} == set(build_files())


def test_every_event_that_we_can_publish_has_its_schema():
    published = set(_OWN) - NOT_PUBLISHED
    assert {name_file(name) for name in published} == set(build_files()) - {"README.md"}


def test_a_schema_is_one():
    for path in FOLDER.glob("*.json"):
        Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_what_the_flows_send_is_valid(sent):
    kinds = {event["detail-type"] for event in sent}
    assert kinds >= {"Capture Rejected", "Finding Raised", "Finding Cleared", "Incident Opened", "Incident Acknowledged",
                     "Incident Resolved", "Diagnosis Started", "Diagnosis Finished"}  # fmt: skip
    assert {event["detail-type"]: faults for event in sent if (faults := find_faults(event))} == {}


def test_an_event_that_lacks_anything_required_or_says_another_change_is_refused(sent):
    seen = set()
    for event in sent:
        if event["detail-type"] in seen:
            continue
        seen.add(event["detail-type"])
        schema = json.loads((FOLDER / name_file(event["detail-type"])).read_text())
        for field in schema["properties"]["detail"]["required"]:
            broken = copy.deepcopy(event)
            del broken["detail"][field]
            assert find_faults(broken), (event["detail-type"], field)
        if "change" in event["detail"]:
            assert find_faults({**event, "detail": {**event["detail"], "change": "invented"}})


def test_an_endpoints_account_and_region_are_in_every_detail():
    for path in FOLDER.glob("*.json"):
        required = set(json.loads(path.read_text())["properties"]["detail"]["required"])
        # A button names the incident, which knows its endpoint.
        about = "incident_id" if path.name == "action-requested.json" else "endpoint"
        assert {"account", "region", "schema", about} <= required


def test_the_example_rule_hears_what_it_says(sent):
    from moto.events.models import EventPattern

    (text,) = re.findall(r"```json\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    pattern = EventPattern.load(text)
    heard = {event["detail-type"] for event in sent if pattern.matches_event(event)}
    assert heard == {"Incident Opened", "Incident Resolved", "Diagnosis Started"}


def test_changes_are_named_in_full():
    assert IncidentChanged.CHANGES == ("opened", "updated", "acknowledged", "resolved")
    assert DiagnosisChanged.CHANGES == ("started", "finished", "abandoned", "due")
