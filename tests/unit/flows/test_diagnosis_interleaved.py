"""Two workers on one diagnosis: at every single call of the first, the second runs, or a person acts. Enumerated."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from sagewatch.diagnose.model import Switch
from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.events import Ticked
from sagewatch.flows.act_by_hand import resolve_incident
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from tests.unit.flows.test_diagnosis_interrupted import CALLS
from tests.unit.flows.worlds import build_event, build_finding, build_world, record_and_settle


class Intruder:
    """Lets something happen right before the nth call to a port, or right after it."""

    def __init__(self, world, limit, act, *, after=False, names=None):
        self.world, self.limit, self.act, self.after = world, limit, act, after
        self.count, self.hit, self.inside = 0, "", False
        owners = {
            "items": world.state._items,
            "bus": world.bus,
            "objects": world.objects,
            "hosting": world.hosting,
        }
        for owner, calls in CALLS.items():
            for name in calls:
                if names is not None and name not in names:
                    continue
                setattr(owners[owner], name, self.watch(getattr(owners[owner], name), name))

    def watch(self, method, name):
        def call(*args, **kwargs):
            if self.inside:
                return method(*args, **kwargs)
            self.count += 1
            if self.count != self.limit:
                return method(*args, **kwargs)
            self.hit = name
            if self.after:
                answer = method(*args, **kwargs)
                self.intrude()
                return answer
            self.intrude()
            return method(*args, **kwargs)

        return call

    def intrude(self):
        self.inside = True
        with contextlib.suppress(RetryError):
            self.act(self.world)
        self.inside = False


def run_whole_flow(world):
    """A second worker, from the finding to the end of the diagnosis, while the first stands still."""
    handle(advance_diagnosis, world.bus.events[0], world)
    record_and_settle(world)


def throw_switch(world):
    world.state.save_switch(Switch(on=False, by="ana"))


def throw_switch_and_run(world):
    throw_switch(world)
    run_whole_flow(world)


def resolve(world):
    for row in world.state.list_incidents():
        resolve_incident(row.incident_id, by="ana", reason="seen", world=world)


def resolve_and_run(world):
    resolve(world)
    run_whole_flow(world)


def deploy_newer(world):
    """An operator's own deployment begins; it ends when AWS gets to it."""
    hosting = world.hosting
    if "newer-config" in hosting.configs or hosting.endpoints["signs"]["EndpointStatus"] != "InService":
        return
    hosting.models["newer-model"] = {**hosting.models["signs-model"], "ModelName": "newer-model"}
    variants = [{"VariantName": "AllTraffic", "ModelName": "newer-model", "InitialInstanceCount": 1}]
    hosting.configs["newer-config"] = {
        **hosting.configs["signs-config"],
        "EndpointConfigName": "newer-config",
        "ProductionVariants": variants,
    }
    hosting.update_endpoint("signs", "newer-config", {})


def deploy_newer_whole(world):
    """An operator's own deployment, begun and ended while the worker stood still: it must stay."""
    deploy_newer(world)
    world.hosting.settle()


ACTS = (
    run_whole_flow, throw_switch, throw_switch_and_run, resolve, resolve_and_run, deploy_newer,
)  # fmt: skip


def begin():
    """A world in which an incident was just opened: the bus's first event says so."""
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    assert world.bus.events[0]["detail-type"] == "Incident Opened"
    return world


def enough_ticks(world):
    """Nothing but what AWS does by itself: updates end, the tick comes, its events are delivered.

    A diagnosis that waited for an operator's deployment begins only then, and has its time to observe.
    """
    for minute in range(40):
        lease = world.state.load_diagnosis("signs")
        if minute >= 6 and (lease is None or lease.told):
            return
        world.now.move(timedelta(minutes=1))
        begun = len(world.bus.events)
        tick(Ticked(world.now()), world)
        for event in world.bus.events[begun:]:
            with contextlib.suppress(RetryError):
                handle(advance_diagnosis, event, world)
        world.hosting.settle()
        with contextlib.suppress(RetryError):
            advance_endpoint("signs", world)


def check_end(world, note):
    endpoint = world.hosting.endpoints["signs"]
    newer = "newer-config" in world.hosting.configs
    expected = {"newer-config"} if newer else {"signs-config"}
    assert endpoint["EndpointConfigName"] in expected, note
    assert endpoint["EndpointStatus"] == "InService", note
    ours = [name for name in (*world.hosting.configs, *world.hosting.models) if name.startswith("sagewatch-")]
    assert not ours, note
    assert {job["ProcessingJobStatus"] for job in world.hosting.jobs.values()} <= {"Completed", "Stopped"}, (
        note
    )
    lease = world.state.load_diagnosis("signs")
    if lease is None:
        return
    assert lease.phase.over, note
    assert lease.told, note
    incident = world.state.load_incident(lease.incident_id)
    assert (incident.diagnosis.stage, incident.diagnosis.reason) == (lease.phase, lease.outcome), note


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS, ids=[act.__name__ for act in ACTS])
def test_whatever_comes_at_any_single_call_the_endpoint_ends_as_its_owner_has_it(act, after):
    for limit in range(1, 2000):
        world = begin()
        intruder = Intruder(world, limit, act, after=after)
        with contextlib.suppress(RetryError):
            run_whole_flow(world)
        if not intruder.hit:
            assert limit > 100
            return
        intruder.inside = True
        enough_ticks(world)
        check_end(world, f"{act.__name__} at {intruder.hit}, call {limit}")
    raise AssertionError("the story never ended")


@pytest.mark.parametrize("named", ["create_model", "create_endpoint_config", "list_objects", "write"])
def test_an_operators_whole_deployment_while_the_worker_stood_still_is_never_overwritten(named):
    """Only the call to UpdateEndpoint itself comes after the last look, and AWS takes no condition for it."""
    for limit in range(1, 2000):
        world = begin()
        intruder = Intruder(world, limit, deploy_newer_whole, names={named})
        with contextlib.suppress(RetryError):
            run_whole_flow(world)
        if not intruder.hit:
            assert limit > 1
            return
        intruder.inside = True
        enough_ticks(world)
        check_end(world, f"{intruder.hit}, call {limit}")
    raise AssertionError("the story never ended")


def test_an_update_that_reaches_aws_after_the_end_is_taken_back():
    """SageMaker reads configurations with delay: one deleted a moment ago may still be moved to."""
    world = begin()
    run_whole_flow(world)
    lease = world.state.load_diagnosis("signs")
    assert lease.told
    world.hosting.endpoints["signs"]["EndpointConfigName"] = lease.hooked_config
    enough_ticks(world)
    check_end(world, "hooked after the end")
    assert world.state.load_diagnosis("signs").outcome == "explained"
