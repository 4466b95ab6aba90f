"""Which inputs are explained, and which captured request each of them was."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.events.parse import TENSORS_KEY
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


def diagnose(world, **changes):
    handle(manage_incident, build_event(build_finding(**changes)), world)
    Pump(world).run()
    record_and_settle(world)
    return world.state.load_diagnosis("signs")


def read_requests(world, incident_id):
    body = world.objects.bodies.get(("evidence", f"tensors/{incident_id}-requests/requests.jsonl"), b"")
    return [json.loads(line) for line in body.splitlines()]


def put_answers(world, rows, at, number):
    """A capture file of (class, confidence) answers, each with an input of its own."""
    event = put_file(world, [f"{label}, {confidence}" for label, confidence in rows], at, number=number)
    key = event["detail"]["object"]["key"]
    body = world.objects.bodies["captures", key].replace(b", 0.9]]", b"]]")
    body = body.replace(b'"input ', b'"input %d of ' % number)
    world.objects.bodies["captures", key] = body
    handle(ingest_capture, event, world)


def list_answers(chosen, role):
    return [(one.label, one.confidence) for one, its in chosen if its == role]


def test_clean_inputs_of_a_class_are_of_that_class_and_of_before_and_spread_over_that_time():
    world = build_captured()
    chosen = choose_clean(build_finding(), 3, world)
    assert [(one.label, one.sample.line, role) for one, role in chosen] == [
        ("14", 2, "clean"), ("14", 4, "clean"), ("14", 8, "clean"),
    ]  # fmt: skip
    assert choose_clean(build_finding(subject="99"), 3, world) == []


def test_where_a_finding_names_no_class_clean_inputs_are_spread_over_all():
    chosen = choose_clean(build_finding(kind="confidence", subject=""), 4, build_captured())
    assert [one.label for one, _ in chosen] == ["2", "2", "14", "14"]


def test_clean_inputs_are_of_the_last_day_where_there_are_any():
    world = build_captured()
    put_answers(world, [("14", 0.5)] * 4, NOW - timedelta(days=3), number=2)
    assert {
        round(confidence, 1)
        for _, confidence in list_answers(choose_clean(build_finding(), 9, world), "clean")
    } == {0.9}
    old = build_world()
    put_answers(old, [("14", 0.5)] * 4, NOW - timedelta(days=3), number=2)
    assert len(choose_clean(build_finding(), 9, old)) == 4


def test_a_replay_runs_suspicious_requests_and_clean_ones():
    chosen = choose_requests(build_finding(), 6, build_captured())
    assert [role for _, role in chosen] == ["suspicious"] * 4 + ["clean"] * 2


def test_a_replay_draws_both_groups_of_a_class_alike_so_that_no_rule_makes_a_difference():
    """The same traffic before and since: whatever is drawn of it has the same confidences."""
    world = build_world()
    traffic = [("14", 0.5 + n / 100) for n in range(24)]
    put_answers(world, traffic, BEFORE, number=1)
    put_answers(world, traffic, NOW, number=2)
    chosen = choose_requests(build_finding(), 12, world)
    ours, theirs = (
        [confidence for _, confidence in list_answers(chosen, role)] for role in ("suspicious", "clean")
    )
    assert (len(ours), len(theirs)) == (8, 4)
    assert sum(ours) / 8 == pytest.approx(sum(theirs) / 4, abs=0.02)


@pytest.mark.parametrize("earlier", [12, 36, 240])
def test_for_a_fallen_confidence_both_groups_are_the_same_share_of_the_least_confident(earlier):
    world = build_world()
    put_answers(world, [("2", 0.5 + n / 1000) for n in range(earlier)], BEFORE, number=1)
    put_answers(world, [("2", 0.5 + n / 1000) for n in range(48)], NOW, number=2)
    chosen = choose_requests(build_finding(kind="confidence", subject=""), 12, world)
    ours, theirs = (
        [confidence for _, confidence in list_answers(chosen, role)] for role in ("suspicious", "clean")
    )
    assert (len(ours), len(theirs)) == (8, 4)
    share = max(8 / 48, 4 / earlier)
    assert max(ours) < 0.5 + share * 48 / 1000
    assert max(theirs) < 0.5 + share * earlier / 1000


def test_after_a_swap_clean_ones_are_of_the_share_that_the_job_explains():
    world = build_world()
    put_answers(world, [("2", 0.5 + n / 1000) for n in range(100)], BEFORE, number=1)
    finding = build_finding(kind="confidence", subject="")
    chosen = choose_clean(finding, 10, world, share=0.25)
    assert max(confidence for _, confidence in list_answers(chosen, "clean")) < 0.525
    assert len(choose_clean(finding, 10, world, share=7.0)) == 10


@pytest.mark.parametrize(
    ("mode", "kind", "clean", "share"),
    [
        ("swap", "confidence", "true", "0.75"),
        ("swap", "confidence", "false", None),
        ("swap", "class-concentration", "true", None),
        ("replay", "confidence", "true", None),
    ],
)
def test_the_job_is_told_the_share_that_its_clean_ones_were_drawn_from(mode, kind, clean, share):
    """Three of the four that were known of: of whatever the workers recorded until the endpoint was back."""
    world = build_captured(MONITORS.replace("mode: swap", f"mode: {mode}, clean_inputs: {clean}"))
    diagnose(world, kind=kind, subject="" if kind == "confidence" else "14")
    (job,) = world.hosting.jobs.values()
    assert job["Environment"].get("SUSPECT_SHARE") == share


def test_bytes_that_came_in_the_incident_are_no_clean_request_too():
    """Both capture files hold "input 0" and so on."""
    world = build_captured(MONITORS.replace("mode: swap", "mode: replay"))
    diagnosis = diagnose(world)
    rows = read_requests(world, diagnosis.incident_id)
    assert "suspicious" in {row["role"] for row in rows}
    assert len({row["body"] for row in rows}) == len(rows)


def test_of_the_containers_variables_the_job_gets_those_that_the_owner_names():
    monitors = MONITORS.replace("mode: swap", "mode: swap, environment: [MODEL_NAME]")
    world = build_captured(monitors)
    world.hosting.models["signs-model"]["PrimaryContainer"]["Environment"] = {
        "MODEL_NAME": "signs", "DB_PASSWORD": "hunter2", "API_TOKEN": "xyzzy",
    }  # fmt: skip
    diagnosis = diagnose(world)
    prefix = f"tensors/{diagnosis.incident_id}-requests/"
    assert json.loads(world.objects.bodies["evidence", f"{prefix}environment.json"]) == {
        "MODEL_NAME": "signs"
    }
    assert json.loads(world.objects.bodies["evidence", f"{prefix}withheld.json"]) == [
        "API_TOKEN", "DB_PASSWORD",
    ]  # fmt: skip
    kept = [body for (bucket, _), body in world.objects.bodies.items() if bucket == "evidence"]
    assert not [body for body in kept if b"hunter2" in body or b"xyzzy" in body]


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
    ((link,),) = links.values()
    assert link["id"] == "e3"
    assert link["where"].startswith("s3://captures/capture/signs/AllTraffic/2026/11/21/12/")
    assert link["where"].endswith(" line 4")


def test_a_body_that_comes_again_and_again_is_linked_to_what_came_while_the_endpoint_recorded():
    """A video, an attack: the same bytes came before the swap, too, and these the hook never saw."""
    world = build_captured()
    place = max(place for place in world.objects.bodies if place[1].startswith("capture/"))
    lines = [json.loads(line) for line in world.objects.bodies[place].splitlines()]
    for number, line in enumerate(lines):
        line["captureData"]["endpointInput"]["data"] = lines[0]["captureData"]["endpointInput"]["data"]
        line["eventMetadata"]["inferenceTime"] = f"{NOW + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
    world.objects.bodies[place] = "\n".join(map(json.dumps, lines)).encode() + b"\n"
    payload = lines[0]["captureData"]["endpointInput"]
    content = (
        base64.b64decode(payload["data"]) if payload["encoding"] == "BASE64" else payload["data"].encode()
    )
    row = {"request_digest": hashlib.sha256(content).hexdigest()}
    diagnosis = build(hooked_at=NOW + timedelta(seconds=2.5), restored_at=NOW + timedelta(minutes=1))
    link_requests(diagnosis, {"images": [row, row]}, world)
    (links,) = load_request_links(diagnosis.incident_id, world).values()
    ids = [line["eventMetadata"]["eventId"] for line in lines]
    assert [one["id"] for one in links] == ids[2:4]


def test_links_that_an_older_version_wrote_are_read():
    world = build_captured()
    old = {"ab": {"id": "e1", "where": "s3://c/k line 2"}}
    world.objects.put_object("evidence", "incidents/i/requests.json", json.dumps(old).encode(), "")
    assert load_request_links("i", world) == {"ab": [old["ab"]]}


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


def test_captures_are_looked_through_for_so_many_bytes_and_no_more(monkeypatch):
    """The line that the budget cuts is none; what comes before it is linked, what comes after it is not read."""
    world = build_captured()
    diagnosis = build(hooked_at=NOW - timedelta(seconds=5), restored_at=NOW + timedelta(minutes=1))
    rows = [{"request_digest": hashlib.sha256(b"input %d" % number).hexdigest()} for number in (1, 5)]
    place = max(place for place in world.objects.bodies if place[1].startswith("capture/"))
    lines = world.objects.bodies[place].splitlines(keepends=True)
    monkeypatch.setattr("sagewatch.flows.recorded_requests.MOST_BYTES", sum(map(len, lines[:3])) + 10)
    link_requests(diagnosis, {"images": rows}, world)
    assert list(load_request_links(diagnosis.incident_id, world)) == [rows[0]["request_digest"]]


def test_an_input_without_its_pictures_is_left_out_and_a_comparison_without_them_too():
    row = {
        "worker": "w", "step": 1, "class": 14, "probability": 0.9, "completeness_relative_error": 1e-7,
        "outside_roi_share": 0.2, "input": "i.png", "overlay": "o.png", "role": "clean", "request_digest": "ab",
    }  # fmt: skip
    report = {"images": [row], "comparison": {"sentence": "s"}, "means": {"suspicious": "means/s.png"}}
    assert list(read_explained(report, {"i.png": b"1"}, {})) == []
    assert read_looked(report, {"means/s.png": b"1"}) is None
    link = {"ab": [{"id": "e7", "where": "s3://c/k line 7"}]}
    one, again = read_explained(report | {"images": [row, row]}, {"i.png": b"1", "o.png": b"2"}, link)
    assert (one.role, one.event_id, one.where) == ("clean", "e7", "s3://c/k line 7")
    assert (again.event_id, again.where) == ("", ""), "one captured request is not two"


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


def test_the_inputs_that_a_job_ran_expire_with_the_tensors_and_are_taken_for_none():
    """They are whole inputs, `sensitive` fields and all: nothing of the incident's own folder expires so soon."""
    world = build_captured(MONITORS.replace("mode: swap", "mode: replay"))
    diagnosis = diagnose(world)
    kept = [key for bucket, key in world.objects.bodies if bucket == "evidence" and "requests" in key]
    assert kept
    assert all(key.startswith("tensors/") for key in kept)
    assert not [key for key in kept if key.startswith(diagnosis.tensors_prefix) or TENSORS_KEY.match(key)]


def test_a_replay_of_an_incident_of_which_no_request_is_left_is_refused_and_explains_no_clean_ones_alone():
    world = build_world(MONITORS.replace("mode: swap", "mode: replay"))
    world.hosting.models["signs-model"]["PrimaryContainer"]["ModelDataUrl"] = OURS
    put_answers(world, [("14", 0.9)] * 6, BEFORE, number=1)
    put_answers(world, [("2", 0.9)] * 6, NOW, number=2)
    diagnosis = diagnose(world)
    assert diagnosis.outcome == "job_refused"
    (refused,) = [e for e in world.state.load_entries(diagnosis.incident_id) if e.what == "diagnosis_refused"]
    assert "no captured request of the incident is left" in refused.data["why"]
