"""An ended diagnosis says what it cost and what the heat maps say, once."""

from __future__ import annotations

from datetime import timedelta

from sagewatch.evidence.trail import build_trail
from sagewatch.flows.diagnosis_cost import build_cost, note_cost
from tests.unit.diagnose.test_machine import build
from tests.unit.flows.worlds import NOW, build_world

JOB = {
    "ProcessingStartTime": NOW,
    "ProcessingEndTime": NOW + timedelta(seconds=95),
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
}
HOOKED = build(hooked_at=NOW, restored_at=NOW + timedelta(minutes=4), finished_at=NOW + timedelta(minutes=6))


def test_the_cost_is_the_hooked_time_the_added_latency_and_the_jobs_instance():
    assert build_cost(HOOKED, {"added_milliseconds": 12.34}, JOB) == {
        "hooked_seconds": 240.0,
        "added_milliseconds_a_request": 12.3,
        "job_seconds": 95.0,
        "job_instance": "ml.m5.large",
    }


def test_a_diagnosis_that_never_hooked_anything_cost_nothing():
    assert build_cost(build(), {}, {}) == {}


def test_told_twice_it_stands_in_the_trail_once_in_words():
    world = build_world()
    key = f"incidents/{HOOKED.incident_id}/explain/explanations.json"
    said = b'{"images": [], "comparison": {"sentence": "the model looks past the sign"}, "added_milliseconds": 12}'
    world.objects.bodies["evidence", key] = said
    for _ in range(2):
        note_cost(HOOKED, "advance_diagnosis", world)
    entries = world.state.load_entries(HOOKED.incident_id)
    assert [entry.what for entry in entries].count("diagnosis_cost") == 1
    words = " ".join(map(str, build_trail(entries)))
    assert "the model looks past the sign" in words
    assert "hooked seconds 240" in words
