"""A window is over: the job on its captures is started once, or the reason why there is none is told once."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RefusedError
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.flows.start_monitor import start_monitor
from sagewatch.flows.tick import tick
from sagewatch.memory.world import MemoryObjects
from sagewatch.monitoring.job import MODE
from tests.unit.flows.test_ingest_report import finish
from tests.unit.flows.worlds import NOW, build_world

MONITORS = """
version: 1
endpoints:
  signs: {quality: {every: 1h, baseline: "s3://captures/baseline", mode: compat}}
  plain: {}
receivers:
  ml-on-call: {mail: {}}
"""
HOUR = "2026/11/21/11"


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def build(captures=(HOUR,)):
    """A world in which `signs` has a baseline and captures of some hours."""
    world = build_world(MONITORS)
    uri = {"EnableCapture": True, "DestinationS3Uri": "s3://captures/capture/"}
    world.hosting.endpoints["signs"] |= {
        "DataCaptureConfig": uri,
        "ProductionVariants": [{"VariantName": "Blue"}],
    }
    for name in ("statistics.json", "constraints.json"):
        world.objects.put_object("captures", f"baseline/{name}", b"{}", "application/json")
    for hour in captures:
        world.objects.put_object(
            "captures", f"capture/signs/Blue/{hour}/00-00-000-x.jsonl", b"{}\n", "text/plain"
        )
    # The tick has looked at the schedule before.
    world.now.now = at(-6)
    handle(tick, {"source": "sagewatch", "detail-type": "Tick", "time": at(-6).isoformat()}, world)
    world.now.now = NOW
    return world


def wake(world, hours=0.2, endpoint="signs"):
    world.now.now = at(hours)
    message = {
        "source": "sagewatch", "detail-type": "Monitor Due", "time": at(hours).isoformat(), "detail": {"endpoint": endpoint},
    }  # fmt: skip
    handle(start_monitor, message, world)


def findings(world):
    return [(e["detail-type"], e["detail"]["kind"], list(e["detail"]["counts"])) for e in world.bus.events]


def test_the_job_gets_the_contracts_environment_and_inputs():
    world = build()
    wake(world)
    (job,) = world.jobs.jobs.values()
    environment = job["Environment"]
    assert (environment["start_time"], environment["end_time"]) == (
        "2026-11-21T11:00:00Z",
        "2026-11-21T12:00:00Z",
    )
    assert json.loads(environment["dataset_format"])["sagemakerCaptureJson"]["captureIndexNames"] == [
        "endpointInput",
        "endpointOutput",
    ]
    assert environment["sagemaker_monitoring_schedule_name"] == "signs-data-quality"
    assert environment[MODE] == "compat"
    assert all(len(value) <= 256 for value in environment.values())
    inputs = {one["InputName"]: one["S3Input"] for one in job["ProcessingInputs"]}
    assert inputs["baseline"]["S3Uri"] == "s3://captures/baseline/statistics.json"
    assert inputs["endpoint_input_1"]["S3Uri"] == f"s3://captures/capture/signs/Blue/{HOUR}/"
    assert inputs["endpoint_input_1"]["LocalPath"] == f"/opt/ml/processing/input/endpoint/signs/Blue/{HOUR}"
    report = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert report.startswith("s3://evidence/reports/signs/signs-data-quality/2026/11/21/12/")
    assert len(job["ProcessingJobName"]) <= 63
    assert findings(world) == []


def test_a_message_that_comes_twice_starts_one_job():
    world = build()
    for _ in range(3):
        wake(world)
    assert len(world.jobs.jobs) == 1


def test_a_window_without_captures_starts_nothing_and_tells_once():
    world = build(captures=())
    wake(world)
    wake(world)
    assert world.jobs.jobs == {}
    assert findings(world) == [("Finding Raised", "job-failed", ["no_data"])]
    assert world.bus.events[0]["detail"]["subject"] == "signs-data-quality"


def test_a_message_that_comes_again_hours_later_opens_nothing_anew():
    """Somebody empties the dead-letter queue: what it was about is long over."""
    world = build(captures=())
    wake(world)
    handle(ingest_report, finish(world, 1, schedule="signs-data-quality", violations=[]), world)
    assert findings(world)[-1][:2] == ("Finding Cleared", "job-failed")
    before = len(findings(world))
    world.now.now = at(3)
    late = {
        "source": "sagewatch", "detail-type": "Monitor Due", "time": at(0.2).isoformat(), "detail": {"endpoint": "signs"},
    }  # fmt: skip
    handle(start_monitor, late, world)
    assert len(findings(world)) == before


def test_a_window_that_began_before_anybody_watched_is_nobodys_loss():
    world = build(captures=())
    world.state.items.delete("schedule#signs-data-quality", "watch", 1)
    wake(world)
    assert findings(world) == []


def test_a_missing_baseline_is_said_and_is_no_lack_of_data():
    world = build()
    del world.objects.bodies["captures", "baseline/statistics.json"]
    wake(world)
    assert findings(world) == [("Finding Raised", "job-failed", ["no_baseline"])]


def test_a_role_that_lacks_a_right_is_told_as_such():
    class Refusing:
        def create_processing_job(self, request):
            raise RefusedError(
                "CreateProcessingJob", "AccessDeniedException", "not authorized to perform iam:PassRole"
            )

    world = build()
    wake(dataclasses.replace(world, jobs=Refusing()))
    assert findings(world) == [("Finding Raised", "job-failed", ["permission"])]


def test_a_bucket_that_may_not_be_listed_is_told_as_such():
    class Closed(MemoryObjects):
        def list_objects(self, bucket, prefix):
            raise RefusedError("ListObjectsV2", "AccessDenied", "not authorized to perform s3:ListBucket")

    world = build()
    wake(dataclasses.replace(world, objects=Closed()))
    assert findings(world) == [("Finding Raised", "job-failed", ["permission"])]


@pytest.mark.parametrize("endpoint", ["plain", "nobody"])
def test_only_endpoints_of_monitors_yml_with_quality_are_monitored(endpoint):
    world = build()
    wake(world, endpoint=endpoint)
    assert world.jobs.jobs == {}
    assert findings(world) == []


def test_a_schedule_that_wakes_nobody_is_noticed_by_the_tick_once_and_heals_with_the_next_run():
    world = build()
    wake(world)
    for hours in (1.2, 2.9, 3.1, 3.2):
        world.now.now = at(hours)
        handle(tick, {"source": "sagewatch", "detail-type": "Tick", "time": at(hours).isoformat()}, world)
        told = [one for one in findings(world) if one[1] == "job-failed"]
        assert told == ([("Finding Raised", "job-failed", ["schedule_stopped"])] if hours > 3 else [])


def test_windows_are_whole_hours_whatever_the_minute_of_the_message():
    world = build(captures=("2026/11/21/10", HOUR))
    wake(world, 0.1)  # six minutes past: the captures of the last hour may still come
    wake(world, 0.9)
    ends = [job["Environment"]["end_time"] for job in world.jobs.jobs.values()]
    assert ends == ["2026-11-21T11:00:00Z", "2026-11-21T12:00:00Z"]
