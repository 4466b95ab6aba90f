"""A diagnosis whose every single call to AWS, reading or changing, goes wrong in turn: enumerated, not chosen."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import ConflictError, DeclinedError, RefusedError, RetryError
from sagewatch.events import Ticked
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from tests.unit.flows.captures import put_file
from tests.unit.flows.test_diagnosis_leases import finding_on
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)

CALLS = {
    "items": ("get", "query", "write"),
    "bus": ("publish",),
    "objects": ("open_object", "put_object", "list_objects", "describe_objects", "presign"),
    "hosting": (
        "describe_endpoint", "describe_endpoint_config", "describe_model", "list_tags", "create_model",
        "create_endpoint_config", "update_endpoint", "delete_endpoint_config", "delete_model",
        "create_processing_job", "describe_processing_job", "stop_processing_job",
    ),
}  # fmt: skip
CHANGING_SAGEMAKER = frozenset(name for name in CALLS["hosting"] if not name.startswith(("describe", "list")))
REPLAY = MONITORS.replace("mode: swap", "mode: replay")


class Killed(BaseException):
    """The function is gone."""


class Counter:
    """Lets the nth call go wrong: before it is done (an error), or after it (a kill, or an answer that was lost)."""

    def __init__(self, world, limit, error=None, names=None, *, done=False):
        self.count, self.limit, self.error, self.done, self.hit = 0, limit, error, done, ""
        owners = {
            "items": world.state._items,
            "bus": world.bus,
            "objects": world.objects,
            "hosting": world.hosting,
        }
        for owner, calls in CALLS.items():
            for name in calls:
                if names is None or name in names:
                    setattr(owners[owner], name, self.watch(getattr(owners[owner], name), name))

    def watch(self, method, name):
        def call(*args, **kwargs):
            self.count += 1
            if self.count != self.limit:
                return method(*args, **kwargs)
            self.hit = name
            if self.error is not None and not self.done:
                raise self.error
            method(*args, **kwargs)
            raise self.error or Killed

        return call


def play(world):
    """The story of one diagnosis, told by the functions that a kill or an error can strike."""
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    record_and_settle(world)


def recover(world):
    """What AWS does by itself: the queue delivers again, the tick comes every minute."""
    for _ in range(4):
        world.now.move(timedelta(minutes=2))
        for event in [build_event(build_finding()), *world.bus.events]:
            for flow in (manage_incident, advance_diagnosis):
                try:
                    handle(flow, event, world)
                except RetryError:
                    world.now.move(timedelta(minutes=1))
        record_and_settle(world)
        tick(Ticked(world.now()), world)
        diagnosis = world.state.load_diagnosis("signs")
        if diagnosis is not None and diagnosis.told:
            return


def check_end(world, note):
    endpoint = world.hosting.endpoints["signs"]
    assert (endpoint["EndpointConfigName"], endpoint["EndpointStatus"]) == ("signs-config", "InService"), note
    assert sorted(world.hosting.configs) == ["signs-config"], note
    assert sorted(world.hosting.models) == ["signs-model"], note
    assert {job["ProcessingJobStatus"] for job in world.hosting.jobs.values()} <= {"Completed", "Stopped"}, (
        note
    )
    diagnosis = world.state.load_diagnosis("signs")
    assert diagnosis is not None, note
    assert diagnosis.phase.over, note
    assert diagnosis.told, note
    incident = world.state.load_incident(diagnosis.incident_id)
    assert (incident.diagnosis.stage, incident.diagnosis.reason) == (diagnosis.phase, diagnosis.outcome), note
    trail = [entry.what for entry in world.state.load_entries(diagnosis.incident_id)]
    assert trail.count(f"diagnosis_{diagnosis.phase}") == 1, (note, trail)
    return diagnosis


def enumerate_calls(error=None, names=None, monitors=MONITORS, *, done=False):
    """Every world in which one more call went wrong, until none is left to go wrong."""
    for limit in range(1, 2000):
        world = build_world(monitors)
        # Where the job may read it: clean requests are run beside what the endpoint recorded.
        world.hosting.models["signs-model"]["PrimaryContainer"]["ModelDataUrl"] = "s3://captures/model.tar.gz"
        for event in (
            put_file(world, ["2", "14"] * 3, NOW - timedelta(hours=1)),
            put_file(world, ["14"] * 6, NOW, number=1),
        ):
            handle(ingest_capture, event, world)
        counter = Counter(world, limit, error, names, done=done)
        with contextlib.suppress(Killed, RetryError, RefusedError):
            play(world)
        if not counter.hit:
            return
        recover(world)
        yield world, f"{counter.hit}, call {limit}"
    raise AssertionError("the story never ended")


@pytest.mark.parametrize("monitors", [MONITORS, REPLAY], ids=["swap", "replay"])
def test_killed_after_any_single_call_it_ends_as_if_nothing_had_happened(monitors):
    notes = []
    for world, note in enumerate_calls(monitors=monitors):
        notes.append(note.partition(",")[0])
        assert check_end(world, note).outcome == "explained", note
    assert len(notes) > (150 if monitors is MONITORS else 50)


def test_throttled_at_any_single_call_it_ends_as_if_nothing_had_happened():
    for world, note in enumerate_calls(RetryError("ThrottlingException")):
        assert check_end(world, note).outcome == "explained", note


LOST = [
    RetryError("ReadTimeoutError"),
    # The SDK asked once more by itself, and met its own first call.
    DeclinedError("update_refused", "Cannot update in-progress endpoint"),
]


@pytest.mark.parametrize("error", LOST, ids=["no-answer", "asked-twice"])
def test_any_change_that_was_made_but_never_answered_is_nobodys_refusal_and_nobody_elses_deed(error):
    notes = []
    for world, note in enumerate_calls(
        error, CHANGING_SAGEMAKER | {"write", "publish", "put_object"}, done=True
    ):
        notes.append(note.partition(",")[0])
        diagnosis = check_end(world, note)
        assert (diagnosis.outcome, diagnosis.refused) == ("explained", 0), note
        trail = world.state.load_entries(diagnosis.incident_id)
        told = " ".join(f"{entry.what} {entry.reason}" for entry in trail)
        assert "refused" not in told.replace(f"diagnosis_held_up {error.reason}", ""), note
        assert "somebody" not in told, note
    assert notes.count("update_endpoint") == 2


def test_crossed_by_another_writer_at_any_write_it_ends_as_if_nothing_had_happened():
    for world, note in enumerate_calls(ConflictError("item_was_changed"), {"write"}):
        assert check_end(world, note).outcome == "explained", note


def test_refused_for_good_at_any_change_it_leaves_the_endpoint_as_it_was_and_says_so():
    outcomes = set()
    for world, note in enumerate_calls(RefusedError("X", "AccessDenied", "no right"), CHANGING_SAGEMAKER):
        diagnosis = world.state.load_diagnosis("signs")
        if diagnosis.cannot_delete:
            world.hosting.configs.pop(diagnosis.hooked_config, None)  # a person has to, and is told
            world.hosting.models.pop(diagnosis.hooked_model, None)
        outcomes.add(check_end(world, note).outcome)
        trail = world.state.load_entries(diagnosis.incident_id)
        told = [e for e in trail if e.what.endswith(("_refused", "_held_up"))]
        assert told, note
    assert outcomes == {"explained", "swap_refused", "job_refused"}


@pytest.mark.parametrize("asks", [False, True])
def test_a_swap_that_aws_was_never_asked_for_is_not_called_rolled_back(asks):
    """Each attempt is killed: before the move, or rolled back after it."""
    world = build_world()
    hosting, update = world.hosting, world.hosting.update_endpoint

    def killed(*_):
        raise Killed

    hosting.update_endpoint = update if asks else killed
    hosting.rolls_back = asks
    handle(manage_incident, build_event(build_finding()), world)
    for _ in range(12):
        with contextlib.suppress(Killed):
            advance_endpoint("signs", world)
        with contextlib.suppress(Killed):
            Pump(world).run()
        hosting.settle()
    diagnosis = world.state.load_diagnosis("signs")
    assert diagnosis.outcome == ("rolled_back" if asks else "swap_never_made")
    assert diagnosis.asked == (3 if asks else 0)


@pytest.mark.parametrize("step", ["write_page", "link_requests", "note_cost"])
@pytest.mark.parametrize("error", [Killed(), RefusedError("GetObject", "AccessDenied", "no")])
def test_an_end_whose_page_kills_the_function_every_time_is_told_all_the_same(step, error, monkeypatch):
    """Out of memory, or its time is up: whatever it may be, the lease is another's afterwards."""

    def fail(*_):
        raise error

    monkeypatch.setattr(f"sagewatch.flows.diagnosis_end.{step}", fail)
    world = build_world(MONITORS.replace("at_most: 20m}", "at_most: 20m}, cooldown: 1s"))
    handle(manage_incident, build_event(build_finding()), world)
    for _ in range(10):
        with contextlib.suppress(Killed, RefusedError):
            Pump(world).run()
            record_and_settle(world, 2)
    first = world.state.load_diagnosis("signs")
    assert (first.phase, first.outcome, first.told) == ("finished", "explained", True)
    assert world.state.load_incident(first.incident_id).diagnosis.stage == "finished"
    assert [one["detail-type"] for one in world.bus.events].count("Diagnosis Finished") == 1
    world.now.move(timedelta(minutes=1))
    handle(manage_incident, build_event(finding_on("signs", "2", raised_at=world.now())), world)
    Pump(world).run()
    assert world.state.load_diagnosis("signs").incident_id != first.incident_id


def test_an_alert_whose_page_kills_the_function_has_its_next_look_all_the_same(monkeypatch):
    def killed(*_):
        raise Killed

    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    monkeypatch.setattr("sagewatch.flows.owed_evidence.write_page", killed)
    (before,) = world.alerts.list_due()
    with pytest.raises(Killed):
        handle(deliver_alert, world.bus.events[0], world)
    (after,) = world.alerts.list_due()
    assert after.due_at > before.due_at
