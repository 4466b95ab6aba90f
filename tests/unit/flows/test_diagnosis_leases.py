"""Many incidents at once: one swap an endpoint, the daily budget kept, the kill switch heard, words for each refusal."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest

from sagewatch.diagnose.model import Switch
from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.events import ActionRequested
from sagewatch.finding import Stream, build_fingerprint
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.incident.muting import Silence
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)

NAMES = [f"signs-{n:02d}" for n in range(50)]
MANY = """
version: 1
endpoints:
""" + "\n".join(
    f"  {name}: {{diagnosis: {{mode: swap, observe: {{requests: 4}}, cooldown: 1s, per_day: 2}}}}"
    for name in NAMES
)
HOOKED = "sagewatch-hooked-"


def finding_on(endpoint, subject="14", **changes):
    stream = Stream(endpoint, "AllTraffic")
    return build_finding(
        finding_id=f"{endpoint}-{subject}",
        endpoint=endpoint,
        subject=subject,
        fingerprint=build_fingerprint(stream, "class-concentration", subject),
        **changes,
    )


def updates(world, endpoint):
    """UpdateEndpoint calls to a hooked configuration, of the diagnoses that the endpoint's incidents began."""
    return [
        name for call, name in world.hosting.calls if call == "UpdateEndpoint" and name.startswith(HOOKED)
    ]


def test_five_incidents_on_one_endpoint_make_one_swap():
    world = build_world()
    pump = Pump(world)
    for subject in ("14", "2", "3", "4", "5"):
        handle(manage_incident, build_event(finding_on("signs", subject)), world)
    pump.run()
    assert len(updates(world, "signs")) == 1
    incidents = [
        world.state.load_incident(f"20261121T120000Z-{finding_on('signs', s).fingerprint}") for s in "2345"
    ]
    assert {incident.diagnosis.reason for incident in incidents} == {"endpoint_is_leased"}
    record_and_settle(world)
    assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config"


def test_three_hundred_events_on_fifty_endpoints_in_any_order_swap_each_once_at_a_time_and_twice_a_day():
    world = build_world(MANY)
    for name in NAMES:
        world.hosting.deploy(name)
    drawn = random.Random(5)
    for day_round in range(3):
        begun = len(world.bus.events)
        for name in NAMES:
            finding = finding_on(name, str(day_round), raised_at=NOW + timedelta(minutes=10 * day_round))
            handle(manage_incident, build_event(finding), world)
        opened = [e for e in world.bus.events[begun:] if e["detail-type"] == "Incident Opened"] * 2
        drawn.shuffle(opened)
        for event in opened:
            handle(advance_diagnosis, event, world)
        hooked = [name for call, name in world.hosting.calls if call == "CreateEndpointConfig"]
        assert len(hooked) == len(set(hooked))
        finish_all(world)
        world.now.move(timedelta(minutes=10))
    swaps = [
        name for call, name in world.hosting.calls if call == "UpdateEndpoint" and name.startswith(HOOKED)
    ]
    assert len(swaps) == 2 * len(NAMES), "two a day, not three"
    assert all(world.hosting.endpoints[name]["EndpointConfigName"] == f"{name}-config" for name in NAMES)
    assert not [name for name in (*world.hosting.configs, *world.hosting.models) if name.startswith(HOOKED)]
    refused = [world.state.load_incident(f"20261121T122000Z-{finding_on(n, '2').fingerprint}") for n in NAMES]
    assert {incident.diagnosis.reason for incident in refused} == {"daily_budget_used"}


def test_eight_workers_at_once_on_fifty_endpoints_swap_each_endpoint_once():
    """Truly side by side: threads that are switched as often as Python can, and a table that is atomic as DynamoDB is."""
    world = build_world(MANY)
    for name in NAMES:
        world.hosting.deploy(name)
        for subject in ("1", "2", "3"):
            handle(manage_incident, build_event(finding_on(name, subject)), world)
    lock, write = threading.Lock(), world.state._items.write

    def write_atomically(writes):
        with lock:
            write(writes)

    world.state._items.write = write_atomically
    opened = [event for event in world.bus.events if event["detail-type"] == "Incident Opened"] * 2
    random.Random(6).shuffle(opened)

    def deliver(event):
        for _ in range(20):  # the queue delivers again
            try:
                return handle(advance_diagnosis, event, world)
            except RetryError:
                continue
        raise AssertionError("never delivered")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as workers:
            list(workers.map(deliver, opened))
    finally:
        sys.setswitchinterval(interval)
    begun = [world.state.load_diagnosis(name) for name in NAMES]
    assert [diagnosis.used_today for diagnosis in begun] == [1] * len(NAMES)
    created = [name for call, name in world.hosting.calls if call == "CreateEndpointConfig"]
    assert {name.removeprefix(HOOKED) for name in created} == {diagnosis.incident_id for diagnosis in begun}
    reasons = Counter(
        incident.diagnosis.reason
        for row in world.state.list_incidents()
        if (incident := world.state.load_incident(row.incident_id)).incident_id
        not in {diagnosis.incident_id for diagnosis in begun}
    )
    assert reasons == {"endpoint_is_leased": 2 * len(NAMES)}


def finish_all(world):
    for _ in range(8):
        world.hosting.settle()
        for name in NAMES:
            diagnosis = world.state.load_diagnosis(name)
            for n in range(4):
                key = f"{diagnosis.tensors_prefix}w/index/000000000/{n:012d}_worker_0.json"
                world.objects.bodies["evidence", key] = b"{}"
            advance_endpoint(name, world)
        world.now.move(timedelta(seconds=2))


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_end_that_was_not_told_is_told_before_the_lease_is_another_incidents(by_hand):
    """The function was killed after it wrote the end down, and before it told of it."""
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    record_and_settle(world, 8)
    first = world.state.load_diagnosis("signs")
    assert first.told
    world.state.save_diagnosis(msgspec.structs.replace(first, told=False), [])
    begun = len(world.bus.events)
    world.now.move(timedelta(minutes=1) if by_hand else timedelta(hours=7))
    at = world.now()
    handle(manage_incident, build_event(finding_on("signs", "2", raised_at=at)), world)
    (opened,) = [event for event in world.bus.events[begun:] if event["detail-type"] == "Incident Opened"]
    second = opened["detail"]["incident_id"]
    if by_hand:
        place = {"account": "123456789012", "region": "eu-west-1"}
        fact = ActionRequested(action="diagnose", incident_id=second, by="ana", at=at, **place)
        advance_diagnosis(fact, world)
    else:
        handle(advance_diagnosis, opened, world)
    assert world.state.load_diagnosis("signs").incident_id == second
    finished = [event for event in world.bus.events[begun:] if event["detail-type"] == "Diagnosis Finished"]
    assert [event["detail"]["incident_id"] for event in finished] == [first.incident_id]
    assert world.state.load_diagnosis_of(first.incident_id).told


def test_the_kill_switch_stops_new_swaps_and_takes_running_ones_back():
    world = build_world()
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    world.hosting.settle()
    advance_endpoint("signs", world)
    assert world.state.load_diagnosis("signs").phase == "observing"
    world.state.save_switch(Switch(on=False, by="ana", reason="release"))
    for _ in range(4):
        advance_endpoint("signs", world)
        world.hosting.settle()
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.phase, diagnosis.outcome) == ("finished", "switched_off")
    assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config"
    assert list(world.hosting.configs) == ["signs-config"]
    world.now.move(timedelta(hours=7))
    calls = len(world.hosting.calls)
    handle(manage_incident, build_event(finding_on("signs", "2", raised_at=NOW + timedelta(hours=7))), world)
    pump.run()
    assert len(world.hosting.calls) == calls
    world.state.save_switch(Switch())
    handle(manage_incident, build_event(finding_on("signs", "3", raised_at=NOW + timedelta(hours=7))), world)
    pump.run()
    assert len(world.hosting.calls) > calls


def test_a_resolved_incident_gives_the_endpoint_back_at_once_and_what_was_recorded_is_explained():
    world = build_world(MONITORS.replace("requests: 4", "requests: 40"))
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    record_and_settle(world, rounds=2)
    assert world.state.load_diagnosis("signs").phase == "observing"
    handle(manage_incident, build_event(build_finding(cleared_at=NOW + timedelta(minutes=5))), world)
    record_and_settle(world)
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.phase, diagnosis.outcome, diagnosis.recorded) == ("finished", "explained", 4)
    trail = [entry.reason for entry in world.state.load_entries(diagnosis.incident_id)]
    assert "incident_resolved" in trail


def test_a_silence_gives_the_endpoint_back_at_once():
    world = build_world(MONITORS.replace("requests: 4", "requests: 40"))
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    record_and_settle(world, rounds=1)
    silence = Silence(
        silence_id="s1", matchers=("endpoint=signs",), starts_at=NOW, ends_at=NOW + timedelta(hours=2), by="ana",
        reason="known test drive",
    )  # fmt: skip
    world.alerts.save_silence(silence)
    record_and_settle(world)
    diagnosis = world.state.load_diagnosis("signs")
    assert diagnosis.phase.over
    assert "incident_is_silenced" in [
        entry.reason for entry in world.state.load_entries(diagnosis.incident_id)
    ]
    assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config"


def test_an_endpoint_taken_off_the_list_while_hooked_goes_back_at_once():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    record_and_settle(world, rounds=1)
    world = msgspec_replace_monitors(world)
    record_and_settle(world)
    assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config"
    assert world.state.load_diagnosis("signs").phase.over


def msgspec_replace_monitors(world):
    import dataclasses

    monitors = msgspec.structs.replace(world.monitors, endpoints={})
    return dataclasses.replace(world, monitors=monitors)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "pipeline",
            "model signs-model: is a pipeline of containers; which of them to hook is not ours to guess",
        ),
        ("multi", "model signs-model: is a multi-model container: the hook would record every model in it"),
        ("isolated", "model signs-model: is isolated from the network: its hook could not write to S3"),
        ("serverless", "endpoint signs: is serverless: its container sleeps"),
        ("components", "endpoint signs: hosts inference components, which have no model to hook"),
        ("shadow", "endpoint signs: has AllTraffic as a shadow variant, whose answers nobody gets"),
    ],
)
def test_what_cannot_be_hooked_is_refused_with_a_sentence_in_the_trail(change, sentence):
    world = build_world()
    model, config = world.hosting.models["signs-model"], world.hosting.configs["signs-config"]
    variant = config["ProductionVariants"][0]
    if change == "pipeline":
        model["Containers"] = [model.pop("PrimaryContainer")] * 2
    elif change == "multi":
        model["PrimaryContainer"]["Mode"] = "MultiModel"
    elif change == "isolated":
        model["EnableNetworkIsolation"] = True
    elif change == "serverless":
        variant["ServerlessConfig"] = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
    elif change == "components":
        del variant["ModelName"]
    else:
        config["ShadowProductionVariants"] = [dict(variant)]
        variant["VariantName"] = "Live"
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert not [call for call, _ in world.hosting.calls]
    incident_id = f"20261121T120000Z-{build_finding().fingerprint}"
    (entry,) = [e for e in world.state.load_entries(incident_id) if e.what == "diagnosis_impossible"]
    assert entry.data["why"].startswith(sentence)
    assert world.state.load_incident(incident_id).diagnosis.reason == "endpoint_cannot_be_hooked"
