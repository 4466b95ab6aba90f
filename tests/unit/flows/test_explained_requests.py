"""Which inputs are explained, and which captured request each of them was."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.flows.explanations import read_explained, read_looked
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.recorded_requests import link_requests, load_request_links
from sagewatch.flows.replay_requests import choose_clean, choose_requests
from sagewatch.incident.doing import tell_doing
from tests.unit.diagnose.test_machine import build
from tests.unit.flows.captures import put_file
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)

BEFORE = NOW - timedelta(hours=1)
OURS = "s3://captures/models/signs.tar.gz"


def build_captured(monitors=MONITORS, archive=OURS):
    world = build_world(monitors)
    world.hosting.models["signs-model"]["PrimaryContainer"]["ModelDataUrl"] = archive
    for event in (
        put_file(world, ["2", "14"] * 5, BEFORE),
        put_file(world, ["14"] * 6, NOW, number=1),
    ):
        handle(ingest_capture, event, world)
    return world


def diagnose(world):
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    record_and_settle(world)
    return world.state.load_diagnosis("signs")


def read_requests(world, incident_id):
    body = world.objects.bodies.get(("evidence", f"incidents/{incident_id}/replay/requests.jsonl"), b"")
    return [json.loads(line) for line in body.splitlines()]


def test_clean_inputs_of_a_class_are_of_that_class_and_of_before_the_latest_first():
    world = build_captured()
    chosen = choose_clean(build_finding(), 3, world)
    assert [(one.label, one.sample.line, role) for one, role in chosen] == [
        ("14", 2, "clean"), ("14", 4, "clean"), ("14", 6, "clean"),
    ]  # fmt: skip
    assert choose_clean(build_finding(subject="99"), 3, world) == []


def test_where_a_finding_names_no_class_clean_inputs_are_spread_over_all():
    chosen = choose_clean(build_finding(kind="confidence", subject=""), 4, build_captured())
    assert [one.label for one, _ in chosen] == ["2", "2", "14", "14"]


def test_a_replay_runs_suspicious_requests_and_clean_ones():
    chosen = choose_requests(build_finding(), 6, build_captured())
    assert [role for _, role in chosen] == ["suspicious"] * 4 + ["clean"] * 2


def test_after_a_swap_clean_requests_are_run_beside_what_the_endpoint_recorded():
    world = build_captured()
    diagnosis = diagnose(world)
    (job,) = world.hosting.jobs.values()
    assert [one["InputName"] for one in job["ProcessingInputs"]] == ["tensors", "model", "requests"]
    assert job["Environment"]["SUSPECT_KIND"] == "class-concentration"
    assert job["Environment"]["REGION"] == "0.1,0.1,0.9,0.9"
    rows = read_requests(world, diagnosis.incident_id)
    assert {row["role"] for row in rows} == {"clean"}
    assert rows[0]["where"].endswith(" line 2")
    assert base64.b64decode(rows[0]["body"]) == b"input 1"


@pytest.mark.parametrize(
    ("monitors", "archive"),
    [
        (MONITORS.replace("mode: swap", "mode: swap, clean_inputs: false"), OURS),
        (
            MONITORS,
            "s3://somebody-elses/model.tar.gz",
        ),  # the job's role may not read it, and the job would fail
        (MONITORS, "s3://captures/models/signs/"),
    ],
)
def test_where_the_model_cannot_be_run_surely_the_job_gets_the_tensors_alone(monitors, archive):
    world = build_captured(monitors, archive)
    diagnosis = diagnose(world)
    (job,) = world.hosting.jobs.values()
    assert [one["InputName"] for one in job["ProcessingInputs"]] == ["tensors"]
    assert read_requests(world, diagnosis.incident_id) == []
    assert diagnosis.outcome == "explained"


def test_a_live_step_is_found_again_in_the_capture_by_the_digest_of_its_body():
    world = build_captured()
    diagnosis = build(hooked_at=NOW - timedelta(seconds=5), restored_at=NOW + timedelta(minutes=1))
    report = {
        "images": [
            {"request_digest": hashlib.sha256(body).hexdigest(), "request_id": known}
            for body, known in ((b"input 3", ""), (b"never captured", ""), (b"input 1", "e1 of the replay"))
        ]
    }
    link_requests(diagnosis, report, world)
    links = load_request_links(diagnosis.incident_id, world)
    (link,) = links.values()
    assert link["id"] == "e3"
    assert link["where"].startswith("s3://captures/capture/signs/AllTraffic/2026/11/21/12/")
    assert link["where"].endswith(" line 4")


def test_of_many_captures_only_those_of_the_hooked_time_are_read(monkeypatch):
    world = build_captured()
    read = []
    opened = world.objects.open_object
    monkeypatch.setattr(world.objects, "open_object", lambda *at: read.append(at[1]) or opened(*at))
    diagnosis = build(hooked_at=NOW - timedelta(seconds=5), restored_at=NOW + timedelta(minutes=1))
    link_requests(diagnosis, {"images": [{"request_digest": "00"}]}, world)
    assert [key for key in read if key.startswith("capture/")] == [
        "capture/signs/AllTraffic/2026/11/21/12/00-00-000-00000000-0000-4000-8000-000000000001.jsonl"
    ]


def test_an_input_without_its_pictures_is_left_out_and_a_comparison_without_them_too():
    row = {
        "worker": "w", "step": 1, "class": 14, "probability": 0.9, "completeness_relative_error": 1e-7,
        "outside_roi_share": 0.2, "input": "i.png", "overlay": "o.png", "role": "clean", "request_digest": "ab",
    }  # fmt: skip
    report = {"images": [row], "comparison": {"sentence": "s"}, "means": {"suspicious": "means/s.png"}}
    assert list(read_explained(report, {"i.png": b"1"}, {})) == []
    assert read_looked(report, {"means/s.png": b"1"}) is None
    link = {"ab": {"id": "e7", "where": "s3://c/k line 7"}}
    (one,) = read_explained(report, {"i.png": b"1", "o.png": b"2"}, link)
    assert (one.role, one.event_id, one.where) == ("clean", "e7", "s3://c/k line 7")


def test_of_a_replay_nobody_is_told_that_the_endpoint_moved():
    world = build_captured(MONITORS.replace("mode: swap", "mode: replay"))
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    (row,) = world.state.list_incidents()
    said = tell_doing(world.state.load_incident(row.incident_id))
    assert said == (
        "Diagnosing: captured inputs are run through the model in a job of its own; the endpoint is not touched."
    )
    record_and_settle(world)
    said = tell_doing(world.state.load_incident(row.incident_id))
    assert said == "Diagnosed: 1 input explained with heat maps; the endpoint was not touched."
    page = world.objects.bodies["evidence", f"incidents/{row.incident_id}/index.html"].decode()
    assert "the endpoint was not touched" in page
    assert "Swap to recording" not in page
