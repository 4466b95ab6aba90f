"""An ended diagnosis says what it cost and what the heat maps say, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.evidence.trail import build_trail
from sagewatch.flows.diagnosis_cost import build_cost, measure_moving, note_cost, price_second_fleet
from sagewatch.incident.model import Entry
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
        "job_usd": 0.003,
        "prices": "list prices of us-east-1 as the authors knew them, 2025-10",
    }


def test_an_instance_that_the_table_does_not_know_has_no_price():
    cluster = {"ClusterConfig": {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 1}}
    cost = build_cost(HOOKED, {}, {**JOB, "ProcessingResources": cluster})
    assert not {"job_usd", "prices"} & cost.keys()


def test_in_a_replay_nobody_waited_for_the_hook():
    assert build_cost(build(mode="replay"), {"added_milliseconds": 12.34}, {}) == {}


def test_the_second_fleet_is_paid_while_the_endpoint_moves_there_and_back():
    diagnosis = build(
        started_at=NOW, hooked_at=NOW + timedelta(minutes=5), restored_at=NOW + timedelta(minutes=20)
    )
    back = [
        Entry(NOW + timedelta(minutes=m), "diagnosis_restoring", "r", "advance_diagnosis") for m in (16, 13)
    ]
    moving = measure_moving(diagnosis, back)
    assert moving == timedelta(minutes=12)
    variants = [
        {"VariantName": "a", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2},
        {"VariantName": "b", "InstanceType": "ml.t3.medium", "InitialInstanceCount": 1},
    ]
    cost = price_second_fleet({"ProductionVariants": variants}, moving, {})
    assert cost["second_fleet_usd_at_most"] == pytest.approx((2 * 0.115 + 0.05) * 12 / 60)
    assert price_second_fleet({"ProductionVariants": [{"InstanceType": "ml.unknown"}]}, moving, {}) == {}
    # Autoscaling had made nine of two: SageMaker starts, and bills, nine more.
    scaled = price_second_fleet({"ProductionVariants": variants}, moving, {"a": 9, "b": 1})
    assert scaled["second_fleet_usd_at_most"] == pytest.approx((9 * 0.115 + 0.05) * 12 / 60, abs=1e-4)
    assert measure_moving(build(), back) == timedelta()


def test_a_diagnosis_that_never_hooked_anything_cost_nothing():
    assert build_cost(build(), {}, {}) == {}


def test_told_twice_it_stands_in_the_trail_once_in_words():
    world = build_world()
    world.state.save_diagnosis(HOOKED, [])
    key = f"incidents/{HOOKED.incident_id}/explain/explanations.json"
    said = b'{"images": [], "comparison": {"sentence": "the model looks past the sign"}, "added_milliseconds": 12}'
    world.objects.bodies["evidence", key] = said
    for _ in range(2):
        note_cost(HOOKED, "advance_diagnosis", world)
    entries = world.state.load_entries(HOOKED.incident_id)
    assert [entry.what for entry in entries].count("diagnosis_cost") == 1
    words = " ".join(map(str, build_trail(entries)))
    assert "the model looks past the sign" in words
    assert "recorded tensors for 4 min" in words.replace("\u00a0", " ")
