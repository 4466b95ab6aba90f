"""The page of a tabular model shows the features that moved, from the report and the baseline it was compared with."""

from __future__ import annotations

import json
import re

import pytest

from sagewatch.entry import handle
from sagewatch.evidence.sensitive_names import REDACTED
from sagewatch.flows.evidence import build_page_key
from sagewatch.flows.feature_extremes import load_extremes, read_value
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.moved_features import load_moved
from sagewatch.flows.report_files import load_report_files
from tests.unit.flows.worlds import build_event, build_finding, build_world
from tests.unit.quality.histograms import build_statistics

REPORT = "reports/churn/run-1"
MONITORS = """
version: 1
endpoints:
  signs: {quality: {every: 1h, baseline: "s3://captures/baseline"}, sensitive: [zip]}
receivers:
  ml-on-call: {mail: {}}
"""
USUAL = {"minutes": [30, 10, 0, 0], "calls": [20, 20], "zip": {"79098": 30, "79100": 10}}
NOW = {"minutes": [0, 0, 10, 30], "calls": [19, 21], "zip": {"79098": 10, "79100": 30}}
VIOLATIONS = (
    b'{"violations": [{"feature_name": "minutes", "constraint_check_type": "baseline_drift_check", '
    b'"description": "Baseline drift distance: 1.0 exceeds threshold: 0.1"}]}'
)


@pytest.fixture
def drifted():
    world = build_world(MONITORS)
    objects = world.objects.bodies
    objects["captures", "baseline/statistics.json"] = build_statistics(USUAL)
    objects["evidence", f"{REPORT}/statistics.json"] = build_statistics(NOW)
    objects["evidence", f"{REPORT}/constraint_violations.json"] = VIOLATIONS
    finding = build_finding(
        kind="data-quality", subject="churn-schedule", source=f"s3://evidence/{REPORT}", counts={"minutes": 1},
        expected_shares={},
    )  # fmt: skip
    return world, finding


def test_features_are_ranked_by_how_far_they_moved_and_sensitive_ones_are_not_shown(drifted):
    world, finding = drifted
    moved = load_moved(finding, load_report_files(finding, world), world)
    assert [one.name for one in moved] == ["minutes", "calls"]
    assert moved[0].distance > 0.9  # a bar at the border of both is shared


def test_the_page_shows_them_with_both_distributions_in_place_of_heat_maps(drifted):
    world, finding = drifted
    handle(manage_incident, build_event(finding), world)
    (row,) = world.state.list_incidents()
    write_page(row.incident_id, world)
    page = world.objects.bodies["evidence", build_page_key(row.incident_id)].decode()
    shown = re.sub(r"<[^>]+>", " ", page[page.index('id="features"') :])
    assert "The report finds drift in 1 of 2 features." in shown
    assert "Fails: baseline drift" in shown
    assert "mean 3.25, usually 0.75" in shown
    assert page.count('class="now"') > 2 < page.count('class="before"')
    assert "Heat maps" not in shown
    assert "79098" not in page
    assert REDACTED not in shown


@pytest.mark.parametrize("spoil", ["baseline", "report", "policy"])
def test_without_a_readable_report_or_baseline_nothing_is_shown(drifted, spoil):
    world, finding = drifted
    if spoil == "baseline":
        world.objects.bodies["captures", "baseline/statistics.json"] = b"{"
    elif spoil == "report":
        world.objects.bodies["evidence", f"{REPORT}/statistics.json"] = b'{"features": 3}'
    else:
        bodies = world.objects
        world = build_world(MONITORS.replace("s3://captures/baseline", "s3://elsewhere/baseline"))
        world.objects.bodies.update(bodies.bodies)
    assert load_moved(finding, load_report_files(finding, world), world) == ()


def put_captures(world, values):
    """Requests `minutes,calls,zip`, each answered with a score."""
    lines = [
        json.dumps(
            {
                "captureData": {
                    "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": f"{value},20,79098", "encoding": "CSV"},
                    "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "0.7", "encoding": "CSV"},
                },
                "eventMetadata": {"eventId": f"e{number}", "inferenceTime": "2026-11-21T11:59:30Z"},
            }
        )
        for number, value in enumerate(values)
    ]  # fmt: skip
    key = "capture/signs/AllTraffic/2026/11/21/11/59-30-000-00000000-0000-4000-8000-000000000000.jsonl"
    world.objects.bodies["captures", key] = ("\n".join(lines) + "\n").encode()
    event = {
        "id": "c", "source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-21T12:00:00Z",
        "detail": {"bucket": {"name": "captures"}, "object": {"key": key, "size": 1, "etag": "e"}},
    }  # fmt: skip
    handle(ingest_capture, event, world)


def test_the_inputs_in_which_the_drifted_feature_is_most_extreme_are_shown():
    monitors = MONITORS.replace(", sensitive: [zip]", ", capture: {prediction: 0, confidence: 0}")
    world = build_world(monitors)
    objects = world.objects.bodies
    columns = {"score": [5, 5], "minutes": [30, 10, 0, 0], "calls": [20, 20], "zip": {"79098": 40}}
    objects["captures", "baseline/statistics.json"] = build_statistics(columns)
    now = columns | {"minutes": [0, 0, 10, 30]}
    report = {"statistics.json": build_statistics(now)}
    put_captures(world, [1, 400, "none", 3, 250, 2, 300, 4, 270, 260, 290])
    finding = build_finding(kind="data-quality", subject="s", counts={"minutes": 1}, expected_shares={})
    moved = load_moved(finding, report, world)
    shown = load_extremes(finding, moved, report, world)
    assert sorted((one.text for one in shown), reverse=True) == [
        f"{value},20,79098" for value in (400, 300, 290, 270, 260, 250)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,30", 30.0), ("0.9,1,30", 30.0), ('{"age": "31"}', 31.0), ('{"plan": 1}', None), ("1,old", None),
     ("", None), ("nan,nan", None), ("[1,2]", None), ("{", None), ("1,2,3,4", None)],
)  # fmt: skip
def test_a_features_number_is_found_by_name_or_by_its_place(text, expected):
    assert read_value(text, "age", ["score", "plan", "age"]) == expected
