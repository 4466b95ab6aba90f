"""Endpoints of other accounts and regions: told apart from those of the same name, watched, never touched."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.place import Place
from tests.unit.flows.captures import draw_attacked, draw_clean, put_files
from tests.unit.flows.test_ingest_capture import findings, ingest
from tests.unit.flows.test_ingest_report import finish, told
from tests.unit.flows.worlds import MONITORS, NOW, build_world

THERE = Place("210987654321", "eu-north-1")
SPOKE = "signs.210987654321.eu-north-1"
BOTH = MONITORS.replace(
    "endpoints:\n",
    f"endpoints:\n  {SPOKE}:\n    detectors: {{class-concentration: {{baseline: {{learn_from: 100}}}}}}\n",
)


class Spoke:
    """What another account lets us look at."""

    def __init__(self, place, jobs):
        self.place, self.jobs, self.asked = place, jobs, []

    def describe_job_at(self, place, name):
        self.asked.append((place, name))
        if place != self.place:
            raise RetryError("may_not_be_assumed")
        return self.jobs.describe_processing_job(name)


def forward(event, place=THERE):
    """The event as EventBridge hands it over from another account's bus."""
    return {**event, "account": place.account, "region": place.region}


def attack(world, place):
    rng = random.Random(1)
    predictions = draw_clean(300, rng) + draw_attacked(60, rng)
    ingest(world, [forward(event, place) for event in put_files(world, predictions, NOW)])


def test_an_endpoint_elsewhere_is_found_under_a_name_of_its_own_with_its_place():
    world = build_world(BOTH)
    attack(world, THERE)
    (finding,) = findings(world)
    assert (finding["endpoint"], finding["account"], finding["region"]) == (SPOKE, *vars_of(THERE))
    assert world.state.list_streams("signs") == []
    assert world.state.list_streams(SPOKE) == [Stream(SPOKE, "AllTraffic")]


def vars_of(place):
    return place.account, place.region


def test_endpoints_of_one_name_in_two_accounts_are_two_incidents():
    world = build_world(BOTH)
    attack(world, THERE)
    attack(world, world.place)
    raised = findings(world)
    assert {finding["endpoint"] for finding in raised} == {"signs", SPOKE}
    assert len({finding["fingerprint"] for finding in raised}) == 2
    for event in list(world.bus.events):
        handle(manage_incident, event, world)
    found = world.state.list_incidents()
    assert {row.endpoint for row in found} == {"signs", SPOKE}
    accounts = {
        row.endpoint: (incident.account, incident.region)
        for row in found
        if (incident := world.state.load_incident(row.incident_id)) is not None
    }
    assert accounts == {"signs": vars_of(world.place), SPOKE: vars_of(THERE)}


@pytest.mark.parametrize("place", [Place("210987654321", "eu-west-1"), Place("333333333333", "eu-north-1")])
def test_captures_of_a_place_that_monitors_does_not_list_never_count_as_ours(place):
    world = build_world(BOTH)
    attack(world, place)
    assert findings(world) == []
    assert world.state.list_streams("signs") == world.state.list_streams(SPOKE) == []


def test_silence_of_an_endpoint_elsewhere_is_told_with_its_place():
    silent = f"version: 1\nendpoints: {{{SPOKE}: {{detectors: {{no-data: {{after: 30m}}}}}}}}\n"
    world = build_world(silent)
    for minutes in (0, 31, 62):
        world.now.now = NOW.replace(hour=12 + minutes // 60, minute=minutes % 60)
        tick(Ticked(world.now.now), world)
    (finding,) = findings(world)
    assert (finding["endpoint"], finding["account"], finding["region"]) == (SPOKE, *vars_of(THERE))


def test_a_report_from_elsewhere_is_described_there_and_told_apart():
    world = build_world(BOTH)
    there = MemorySageMaker()
    spoke = Spoke(THERE, there)
    theirs = replace(world, jobs=there)
    event = forward(finish(theirs, 0, violations=["age"]))
    handle(ingest_report, event, replace(world, elsewhere=spoke))
    finding = world.bus.events[0]["detail"]
    assert (finding["endpoint"], finding["account"]) == (SPOKE, THERE.account)
    assert spoke.asked == [(THERE, event["detail"]["ProcessingJobName"])]
    # The same schedule's report at home is another matter: neither is the other's repetition.
    handle(ingest_report, finish(world, 0, violations=["age"]), world)
    assert told(world) == [("Finding Raised", "data-quality")] * 2
    fingerprints = {event["detail"]["fingerprint"] for event in world.bus.events}
    assert len(fingerprints) == 2


def test_jobs_of_a_place_that_monitors_does_not_list_are_not_looked_at():
    world = build_world(BOTH)
    spoke = Spoke(THERE, MemorySageMaker())
    event = forward(finish(world, 0, violations=["age"]), Place("333333333333", "eu-north-1"))
    handle(ingest_report, event, replace(world, elsewhere=spoke))
    assert spoke.asked == []
    assert told(world) == []


def test_a_job_that_may_not_be_looked_at_yet_comes_again():
    world = build_world(BOTH)
    event = forward(finish(world, 0, violations=["age"]))
    nobody = Spoke(Place("1", "x"), MemorySageMaker())
    with pytest.raises(RetryError):
        handle(ingest_report, event, replace(world, elsewhere=nobody))


def test_a_change_of_an_endpoint_elsewhere_touches_nothing_of_ours():
    world = build_world(BOTH)
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Endpoint State Change",
        "time": NOW.isoformat(),
        "detail": {"EndpointName": "signs", "EndpointStatus": "IN_SERVICE"},
    }
    handle(advance_diagnosis, forward(event), world)
    assert world.hosting.calls == []


def test_a_capture_told_of_twice_by_both_accounts_buses_counts_once():
    world = build_world(BOTH)
    events = put_files(world, draw_clean(50, random.Random(1)), NOW)
    for event in events * 2:
        handle(ingest_capture, forward(event), world)
    segments = world.state.load_segments(Stream(SPOKE, "AllTraffic"), None)
    assert sum(segment.predictions for segment in segments) == 50
