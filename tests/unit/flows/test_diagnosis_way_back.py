"""The way back to the owner's configuration depends on nothing that may be missing by then."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import timedelta

import msgspec
import pytest

from sagewatch.diagnose.model import Phase, Switch
from sagewatch.entry import handle
from sagewatch.errors import DeclinedError, RefusedError, RejectedInputError, RetryError
from sagewatch.events import Ticked
from sagewatch.evidence.trail import build_trail
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.incident.doing import tell_doing
from sagewatch.incident.why import tell_trail
from sagewatch.monitors import parse_monitors
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.flows.worlds import MONITORS, Pump, build_event, build_finding, build_world


def hook(world=None):
    """A world whose endpoint records."""
    world = world or build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    world.hosting.settle()
    advance_endpoint("signs", world)
    assert world.state.load_diagnosis("signs").phase is Phase.OBSERVING
    return world


def pass_minutes(world, minutes, *also):
    """What happens without anybody: the tick, the events that it sends, and SageMaker's own pace.

    Errors that a function may die of, besides those that are tried again, are ``also`` given.
    """
    for _ in range(minutes):
        world.now.move(timedelta(minutes=1))
        begun = len(world.bus.events)
        with contextlib.suppress(*also):
            tick(Ticked(world.now()), world)
        for event in world.bus.events[begun:]:
            if event["detail-type"] == "Diagnosis Due":
                with contextlib.suppress(RetryError, RefusedError, *also):
                    handle(advance_diagnosis, event, world)
        world.hosting.settle()


ROW = {"input": "inputs/1.png", "overlay": "overlays/1.png"}


def record(world, incident_id):
    """As much as is wanted."""
    for number in range(4):
        key = f"tensors/{incident_id}/w/index/000000000/{number:012d}_worker_0.json"
        world.objects.bodies["evidence", key] = b"{}"


def leave_report(world, incident_id, report):
    """What the saliency job writes: its report and a row's pictures."""
    prefix, objects = f"incidents/{incident_id}/explain", world.objects.bodies
    objects["evidence", f"{prefix}/explanations.json"] = json.dumps(report).encode()
    for picture in ROW.values():
        objects["evidence", f"{prefix}/{picture}"] = b"png"


def get_live(world):
    return world.hosting.endpoints["signs"]["EndpointConfigName"]


@pytest.mark.parametrize(
    "error", [RetryError("SlowDown"), RefusedError("ListObjectsV2", "AccessDenied", "no")]
)
def test_an_evidence_bucket_that_cannot_be_listed_holds_nothing_up(error):
    world = hook()
    list_objects = world.objects.list_objects

    def fail(*_):
        raise error

    world.objects.list_objects = fail
    pass_minutes(world, 19)
    assert get_live(world).startswith("sagewatch-hooked-")  # unknown is not "enough", nor is it "none"
    pass_minutes(world, 5)
    lease = world.state.load_diagnosis("signs")
    assert get_live(world) == "signs-config"
    assert (lease.phase, lease.outcome) == (Phase.FINISHED, "no_tensors")
    world.objects.list_objects = (
        list_objects  # the page's pictures are found by listing: only the telling waits
    )
    pass_minutes(world, 1)
    assert world.state.load_diagnosis("signs").told


OWNERS = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "deleted-meanwhile"}]},
}


def refuse_updates(world, error, refuses):
    """Let AWS say no to some deployments; the deployments that were asked for."""
    update, tried = world.hosting.update_endpoint, []

    def update_endpoint(name, config, deployment):
        tried.append(deployment)
        if refuses(deployment):
            raise error
        update(name, config, deployment)

    world.hosting.update_endpoint = update_endpoint
    return tried


@pytest.mark.parametrize("swaps", [True, False], ids=["time-is-up", "kill-switch"])
@pytest.mark.parametrize("wanted", [{}, OWNERS], ids=["only-all-at-once", "only-by-policy"])
@pytest.mark.parametrize(
    "error",
    [DeclinedError("update_refused"), RefusedError("UpdateEndpoint", "AccessDeniedException", "no alarms")],
    ids=["validation", "denied"],
)
def test_a_way_back_that_aws_refuses_is_asked_for_in_another_way(error, wanted, swaps):
    world = build_world()
    world.hosting.endpoints["signs"]["LastDeploymentConfig"] = OWNERS
    world = hook(world)
    if not swaps:
        world.state.save_switch(Switch(on=False, by="ana", reason="release"))
    refused_first = [] if wanted else [OWNERS]
    tried = refuse_updates(world, error, lambda deployment: deployment != wanted)
    pass_minutes(world, 30)
    lease = world.state.load_diagnosis("signs")
    assert tried == [*refused_first, wanted]
    assert get_live(world) == "signs-config"
    assert (lease.phase, lease.told) == (Phase.FINISHED, True)
    said = [e.what for e in world.state.load_entries(lease.incident_id) if e.what.endswith("_refused")]
    assert said == ["diagnosis_way_back_refused"] * len(refused_first)


def test_no_way_back_is_asked_for_unchanged_for_ever_whatever_aws_calls_its_no():
    world = build_world()
    world.hosting.endpoints["signs"]["LastDeploymentConfig"] = OWNERS
    world = hook(world)
    tried = refuse_updates(world, RetryError("some_other_code"), bool)
    pass_minutes(world, 25)
    assert tried
    assert {} not in tried, "busy is busy, at first"
    pass_minutes(world, 35)
    assert get_live(world) == "signs-config"
    assert world.state.load_diagnosis("signs").told


def test_a_way_back_that_is_refused_both_ways_is_told_of_once_each_way_and_works_once_aws_lets_it():
    world = build_world()
    world.hosting.endpoints["signs"]["LastDeploymentConfig"] = OWNERS
    world = hook(world)
    update = world.hosting.update_endpoint
    tried = refuse_updates(world, DeclinedError("update_refused", "there is no alarm"), lambda _: True)
    pass_minutes(world, 90)
    assert OWNERS in tried[-2:]
    assert {} in tried[-2:]
    lease = world.state.load_diagnosis("signs")
    trail = world.state.load_entries(lease.incident_id)
    assert len([e for e in trail if e.what == "diagnosis_way_back_refused"]) == 2
    page = " ".join(map(str, build_trail(trail)))
    assert "AWS refused the way back" in page
    assert "Not possible now" not in page
    first, *rest = tell_trail(
        [e for e in trail if e.what in {"diagnosis_started", "diagnosis_way_back_refused"}], []
    )
    assert "original_config signs-config" in first, "where to put it by hand"
    assert all("original_config signs-config" in one and "there is no alarm" in one for one in rest)
    assert page.count("why there is no alarm") == 2, "AWS's own words, in the trail"
    assert "by hand" in tell_doing(world.state.load_incident(lease.incident_id))
    world.hosting.update_endpoint = update
    pass_minutes(world, 3)
    assert get_live(world) == "signs-config"
    assert "The original configuration is in place" in tell_doing(
        world.state.load_incident(lease.incident_id)
    )


@pytest.mark.parametrize("changed", [None, "off", "replay"], ids=["delisted", "off", "replay"])
def test_an_endpoint_that_monitors_yml_lets_go_while_it_records_is_given_back_by_the_tick_alone(changed):
    world = hook()
    monitors = MONITORS.replace("mode: swap", f"mode: {changed}")
    allowed = parse_monitors(monitors, "monitors.yml") if changed else None
    allowed = allowed or msgspec.structs.replace(world.monitors, endpoints={})
    after = dataclasses.replace(world, monitors=allowed)
    pass_minutes(after, 4)
    lease = world.state.load_diagnosis("signs")
    assert get_live(world) == "signs-config"
    assert (lease.phase.over, lease.told) == (True, True)
    assert not [name for name in world.hosting.configs if name.startswith("sagewatch-")]


@pytest.mark.parametrize(
    ("pk", "sk"), [("silences", "s1"), ("incident#{}", "meta"), ("control#swaps", "switch")]
)
def test_no_row_that_cannot_be_read_keeps_an_endpoint_from_its_owner(pk, sk):
    world = hook()
    pk = pk.format(world.state.load_diagnosis("signs").incident_id)
    known = world.state._items.get(pk, sk)
    assert known is not None or not pk.startswith("incident")
    version = known.version + 1 if known else 1
    world.state._items.write([Write(Item(pk, sk, b'{"on": "false"}', version), ANY_VERSION)])
    pass_minutes(world, 24, msgspec.MsgspecError, RejectedInputError)  # the tick says what it left out
    assert get_live(world) == "signs-config"
    assert world.state.load_diagnosis("signs").phase is Phase.FINISHED


def test_a_kill_switch_that_cannot_be_read_is_thrown():
    world = hook()
    world.state._items.write([Write(Item("control#swaps", "switch", b'{"on": "false"}', 1), ANY_VERSION)])
    pass_minutes(world, 3)
    lease = world.state.load_diagnosis("signs")
    assert get_live(world) == "signs-config"
    assert (lease.phase, lease.outcome) == (Phase.FINISHED, "switched_off")
    assert "throw it again" in world.state.load_switch().reason


@pytest.mark.parametrize("job_fails", [False, True])
def test_an_operators_update_while_the_saliency_job_runs_leaves_no_job_running_and_its_result_is_told(
    job_fails,
):
    """The way back is done, its word is lost, and the operator deploys at once."""
    world = hook()
    hosting, incident_id = world.hosting, world.state.load_diagnosis("signs").incident_id
    record(world, incident_id)
    advance_endpoint("signs", world)
    hosting.configs["newer"] = {**hosting.configs["signs-config"], "EndpointConfigName": "newer"}
    hosting.endpoints["signs"] |= {"EndpointConfigName": "newer", "EndpointStatus": "InService"}
    hosting._target.clear()
    advance_endpoint("signs", world)
    assert world.state.load_diagnosis("signs").phase is Phase.EXPLAINING
    assert "leaves it alone; heat maps are" in tell_doing(world.state.load_incident(incident_id))
    assert not [name for name in hosting.configs if name.startswith("sagewatch-")]
    if job_fails:
        hosting.jobs[f"sagewatch-explain-{incident_id}"]["ProcessingJobStatus"] = "Failed"
    else:
        leave_report(world, incident_id, {"images": [ROW]})
    pass_minutes(world, 3)
    lease = world.state.load_diagnosis("signs")
    assert get_live(world) == "newer"
    assert (lease.phase, lease.outcome, lease.told) == (Phase.ABANDONED, "operator_changed_endpoint", True)
    assert not [job for job in hosting.jobs.values() if job["ProcessingJobStatus"] == "InProgress"]
    said = tell_doing(world.state.load_incident(incident_id))
    assert ("1 input explained with heat maps" in said) is not job_fails
    assert "check its configuration" in said
    reasons = [e.reason for e in world.state.load_entries(incident_id) if e.what == "diagnosis_abandoned"]
    assert reasons == ["job_failed" if job_fails else "explained"]


def test_an_endpoint_that_is_delisted_and_cannot_go_back_is_measured_as_overdue():
    world = hook()
    after = dataclasses.replace(world, monitors=msgspec.structs.replace(world.monitors, endpoints={}))

    def deny(*_):
        raise RefusedError("UpdateEndpoint", "AccessDeniedException", "not authorized")

    world.hosting.update_endpoint = deny
    pass_minutes(after, 60)
    name, late, *_ = [row for row in world.metrics.values if row[0] == "DiagnosisOverdue"][-1]
    assert late > 600, name


@pytest.mark.parametrize("deleted", [("config",), ("model",), ("config", "model")], ids="+".join)
def test_an_owners_configuration_that_was_deleted_while_the_endpoint_records_is_made_again(deleted):
    world = hook()
    hosting = world.hosting
    config, model = hosting.configs["signs-config"], hosting.models["signs-model"]
    if "config" in deleted:
        del hosting.configs["signs-config"]
    if "model" in deleted:
        del hosting.models["signs-model"]
    pass_minutes(world, 26)
    lease = world.state.load_diagnosis("signs")
    assert (lease.phase.over, lease.told, lease.outcome) == (True, True, "no_tensors")
    name = f"sagewatch-restored-{lease.incident_id}"
    assert get_live(world) == name
    made = hosting.configs[name]
    assert made["DataCaptureConfig"] == config["DataCaptureConfig"]
    (variant,), (wanted,) = made["ProductionVariants"], config["ProductionVariants"]
    runs = name if "model" in deleted else "signs-model"
    assert variant == {**wanted, "ModelName": runs}
    assert (
        hosting.models[runs]["PrimaryContainer"] == model["PrimaryContainer"]
    )  # without the hook's variables
    assert not [one for one in (*hosting.configs, *hosting.models) if one.startswith("sagewatch-hooked-")]
    trail = [entry.reason for entry in world.state.load_entries(lease.incident_id)]
    assert "original_was_deleted" in trail


@pytest.mark.parametrize("looks", [True, False], ids=["seen-at-once", "not-even-seen"])
@pytest.mark.parametrize("stops", [True, False], ids=["kill-switch", "time-is-up"])
@pytest.mark.parametrize("deleted", ["configs", "models", ""])
@pytest.mark.parametrize(
    "error",
    [RetryError("ReadTimeoutError"), DeclinedError("update_refused", "in progress")],
    ids=["lost", "no"],
)
def test_a_way_back_that_aws_took_without_an_answer_is_ours(error, deleted, stops, looks):
    world = hook()
    hosting, update, describe = world.hosting, world.hosting.update_endpoint, world.hosting.describe_endpoint
    if deleted:
        del getattr(hosting, deleted)[f"signs-{deleted[:-1]}"]
    if stops:
        world.state.save_switch(Switch(on=False, by="ana", reason="release"))

    def unseen(_):
        hosting.describe_endpoint = describe
        raise RetryError("ReadTimeoutError")

    def unanswered(*args):
        hosting.update_endpoint = update
        update(*args)
        if not looks:
            hosting.describe_endpoint = unseen
        raise error

    hosting.update_endpoint = unanswered
    pass_minutes(world, 30)
    lease = world.state.load_diagnosis("signs")
    owners = f"sagewatch-restored-{lease.incident_id}" if deleted else "signs-config"
    assert (get_live(world), lease.original_config) == (owners, owners)
    assert (lease.phase, lease.outcome) == (Phase.FINISHED, "switched_off" if stops else "no_tensors")
    assert lease.told
    assert not [one for one in (*hosting.configs, *hosting.models) if one.startswith("sagewatch-hooked-")]
    if looks:
        assert lease.refused == 0
        trail = " ".join(f"{e.what} {e.reason}" for e in world.state.load_entries(lease.incident_id))
        assert not [word for word in ("refused", "somebody", "held_up") if word in trail]


@pytest.mark.parametrize("kind", ["ProductionVariants", "ShadowProductionVariants"])
def test_a_model_of_ours_that_an_operators_clone_of_the_live_configuration_runs_is_not_deleted(kind):
    world = hook()
    hosting = world.hosting
    mine = {**hosting.configs[get_live(world)], "EndpointConfigName": "mine"}
    (variant,) = mine.pop("ProductionVariants")
    mine["ProductionVariants"] = [{**variant, "ModelName": "signs-model"}]
    mine[kind] = [variant]
    hosting.configs["mine"] = mine
    hosting.endpoints["signs"]["EndpointConfigName"] = "mine"
    pass_minutes(world, 3)
    lease = world.state.load_diagnosis("signs")
    assert (lease.phase, lease.outcome, lease.told) == (Phase.ABANDONED, "operator_changed_endpoint", True)
    assert get_live(world) == "mine"
    assert lease.hooked_model in hosting.models
    assert lease.hooked_config not in hosting.configs
    (refused,) = [e for e in world.state.load_entries(lease.incident_id) if e.what == "diagnosis_refused"]
    assert "mine runs it" in refused.data["why"]  # a person is told what to do


@pytest.mark.parametrize("left", [b'{"images": [', b"\xff\xfe", b"[]", b"null", b'{"images": 3}'])
def test_a_report_of_the_saliency_job_that_cannot_be_read_ends_the_diagnosis_and_frees_the_lease(left):
    world = hook()
    incident_id = world.state.load_diagnosis("signs").incident_id
    for number in range(4):
        key = f"tensors/{incident_id}/w/index/000000000/{number:012d}_worker_0.json"
        world.objects.bodies["evidence", key] = b"{}"
    world.objects.bodies["evidence", f"incidents/{incident_id}/explain/explanations.json"] = left
    pass_minutes(world, 8)
    lease = world.state.load_diagnosis("signs")
    assert (lease.phase, lease.outcome, lease.told) == (Phase.FINISHED, "job_left_nothing", True)


@pytest.mark.parametrize(
    "left",
    [
        {"images": [1, ROW]},
        {"images": [{"request_digest": "ab"}, ROW]},
        {"images": [ROW], "comparison": {}},
        {"images": [ROW], "comparison": {"sentence": 3}},
        {"images": [ROW], "added_milliseconds": "x"},
        {"images": [ROW], "skipped": [1], "means": 3, "notes": 4},
        {"images": [ROW], "means": {"suspicious": []}},
        {"images": [{**ROW, "request_digest": ["ab"]}, ROW]},
    ],
    ids=str,
)
def test_what_cannot_be_read_in_a_report_is_left_out_and_the_rest_is_told(left):
    """The pictures are there, so that the page reads every field of every row."""
    world = hook()
    incident_id = world.state.load_diagnosis("signs").incident_id
    record(world, incident_id)
    leave_report(world, incident_id, left)
    pass_minutes(world, 8)
    lease = world.state.load_diagnosis("signs")
    assert (lease.phase, lease.outcome, lease.told) == (Phase.FINISHED, "explained", True)
    assert world.state.load_incident(incident_id).diagnosis.explained == 1
    assert "diagnosis_cost" in [entry.what for entry in world.state.load_entries(incident_id)]


def test_nothing_that_is_kept_of_the_configurations_shows_a_containers_password():
    world = build_world()
    container = world.hosting.models["signs-model"]["PrimaryContainer"]
    container["Environment"] = {"DB_PASSWORD": "hunter2"}
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    incident_id = world.state.load_diagnosis("signs").incident_id
    body = world.objects.bodies["evidence", f"incidents/{incident_id}/endpoint-configs.json"]
    assert b"DB_PASSWORD" in body
    assert b"TENSORS_OUTPUT" in body
    assert f"s3://evidence/tensors/{incident_id}".encode() in body
    shown = [key for (bucket, key), one in world.objects.bodies.items() if b"hunter2" in one]
    assert shown == []
    hooked = world.hosting.models[f"sagewatch-hooked-{incident_id}"]["PrimaryContainer"]
    assert hooked["Environment"]["DB_PASSWORD"] == "hunter2"  # the model itself runs as before


def test_a_way_back_without_an_answer_that_takes_minutes_is_ours_still():
    """Neither its answer nor a look at it came through, and the time was up while the endpoint moved."""
    world = hook()
    hosting, settle = world.hosting, world.hosting.settle
    update, describe, looks = hosting.update_endpoint, hosting.describe_endpoint, []

    def unseen(_):
        hosting.describe_endpoint = describe
        raise RetryError("ReadTimeoutError")

    def unanswered(*args):
        hosting.update_endpoint = update
        update(*args)
        hosting.describe_endpoint = unseen
        raise RetryError("ReadTimeoutError")

    def settle_slowly():
        if get_live(world) is None or hosting.endpoints["signs"]["EndpointStatus"] == "Updating":
            looks.append(world.now())
            if len(looks) % 5:
                return
        settle()

    hosting.update_endpoint, hosting.settle = unanswered, settle_slowly
    pass_minutes(world, 45)
    lease = world.state.load_diagnosis("signs")
    assert len(looks) >= 5
    assert (lease.phase, lease.told, get_live(world)) == (Phase.FINISHED, True, "signs-config")
    reasons = [entry.reason for entry in world.state.load_entries(lease.incident_id)]
    assert "restored_by_somebody" not in reasons
