"""The fault table: whatever AWS does, the endpoint ends as its owner wants it, and the incident says what happened.

The real flows and adapters on moto and the local SageMaker, which really starts and ends containers and jobs.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sagewatch.aws.client import build_client
from sagewatch.errors import ConflictError
from sagewatch.sandbox.local_aws import LocalAws
from sagewatch.sandbox.sagemaker.faults import Fault
from sagewatch.sandbox.sagemaker.service import SageMakerSettings
from tests.integration.diagnosis_stage import PROGRAM, Clock, Story, make_config, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    programs = tmp_path_factory.mktemp("programs")
    (programs / "explain.py").write_text(PROGRAM)
    settings = SageMakerSettings(programs=programs, startup_timeout_seconds=20)
    directory = tmp_path_factory.mktemp("aws") / "sandbox"
    with LocalAws(directory, sagemaker=settings) as local, pytest.MonkeyPatch.context() as patch:
        for name, value in local.environment.items():
            patch.setenv(name, value)
        build_client.cache_clear()
        prepare(local)
        local.client("sagemaker").create_endpoint(
            EndpointName="signs", EndpointConfigName=make_config(local, "plain")
        )
        yield local
        build_client.cache_clear()


@pytest.fixture
def begin(aws: LocalAws) -> Iterator[Callable[..., Story]]:
    clock = Clock()

    def start(endpoint: str = "signs", **policy: str) -> Story:
        while (
            aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] != "InService"
        ):
            time.sleep(0.1)
        return Story(aws, endpoint, next(NUMBERS), clock, **policy)

    clock.ahead = timedelta(days=next(NUMBERS))  # every row on a day of its own: no cooldown, no budget
    yield start
    aws.faults.clear()


@pytest.mark.parametrize(
    ("fault", "injected", "said"),
    [
        (None, {}, "Heat maps begin"),
        (Fault.THROTTLE, {"operation": "DescribeEndpoint", "times": 8}, "Heat maps begin"),
        (Fault.THROTTLE, {"operation": "UpdateEndpoint", "times": 5}, "ThrottlingException"),
        (Fault.THROTTLE, {"operation": "CreateProcessingJob", "times": 5}, "ThrottlingException"),
        (Fault.THROTTLE, {"operation": "DeleteModel", "times": 5}, "ThrottlingException"),
        (Fault.REFUSE_UPDATE, {"times": 3}, "Not possible now: tried again until it works"),
        (Fault.SILENT_ROLLBACK, {"times": 1}, "Recording configuration verified"),
        (Fault.LOSE_EVENT, {"times": None}, "Heat maps begin"),
        (Fault.DOUBLE_EVENT, {"times": None}, "Heat maps begin"),
        (Fault.SHUFFLE_EVENT, {"times": None, "seconds": 2}, "Heat maps begin"),
    ],
    ids=["nothing", "throttled-describe", "throttled-update", "throttled-job", "throttled-delete", "update-refused",
         "silent-rollback-once", "events-lost", "events-doubled", "events-out-of-order"],
)  # fmt: skip
def test_what_heals_is_waited_out_and_the_diagnosis_succeeds(aws, begin, fault, injected, said):
    story = begin()
    if fault is not None:
        aws.faults.inject(fault, **injected)
    story.run()
    trail = story.check_end("explained", "plain")
    assert said.replace("ThrottlingException", "throttl").lower() in trail.lower()
    assert "12.5" in trail, "the cost is told"


def test_an_update_that_is_slow_is_waited_for_and_told(aws, begin):
    aws.faults.inject(Fault.SLOW_UPDATE, times=1, seconds=3)
    story = begin(swap_within="1s")
    story.run()
    assert "changing for too long" in story.check_end("explained", "plain")


def test_an_update_that_is_refused_until_the_deadline_is_given_up(aws, begin):
    story = begin()
    aws.faults.inject(Fault.REFUSE_UPDATE, times=None)
    for _ in range(3):
        story.deliver()
        story.wake()
    story.clock.ahead += timedelta(minutes=31)
    story.run()
    assert "too long" in story.check_end("swap_overdue", "plain") or "overdue" in story.check_end(
        "swap_overdue", "plain"
    )


def test_a_swap_that_is_rolled_back_every_time_is_given_up(aws, begin):
    aws.faults.inject(Fault.SILENT_ROLLBACK, times=None)
    story = begin()
    story.run()
    assert "SageMaker rolled the swap back" in story.check_end("rolled_back", "plain")
    assert story.diagnosis.attempts == 3


def test_a_way_back_that_is_rolled_back_is_asked_for_again(aws, begin):
    story = begin()
    story.run("observing")
    aws.faults.inject(Fault.SILENT_ROLLBACK, times=2)
    story.run()
    story.check_end("explained", "plain")
    assert story.diagnosis.restores >= 3


def test_a_way_back_whose_deployment_policy_is_refused_is_asked_for_all_at_once(aws, begin):
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="guarded", EndpointConfigName=make_config(aws, "guarded-first"))
    mine = make_config(aws, "guarded")
    story = begin("guarded")
    guard = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "latency"}]}, "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}}  # fmt: skip
    sagemaker.update_endpoint(EndpointName="guarded", EndpointConfigName=mine, DeploymentConfig=guard)
    story.settle()
    story.clock.ahead += timedelta(minutes=4)
    story.run("observing")
    aws.faults.inject(Fault.REFUSE_DEPLOYMENT, times=None)  # the owner deleted the alarm meanwhile
    story.run()
    assert "AWS refused the way back" in story.check_end("explained", mine)
    assert story.diagnosis.refused == 1


def test_a_hooked_model_that_crashes_at_load_never_takes_the_traffic(aws, begin):
    aws.client("sagemaker").create_endpoint(
        EndpointName="crashing", EndpointConfigName=make_config(aws, "fragile", CRASHES="1")
    )
    story = begin("crashing")
    story.run()
    assert "rolled the swap back" in story.check_end("rolled_back", "fragile")


def test_tensors_that_never_arrive_end_the_observation_in_time(begin):
    story = begin()
    story.records = False
    story.run("observing")
    story.clock.ahead += timedelta(minutes=21)
    story.run()
    assert "Time to record is up" in story.check_end("no_tensors", "plain")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Fault.FAIL_JOB, "job_failed"), (Fault.JOB_WITHOUT_OUTPUTS, "job_left_nothing")],
)
def test_a_job_that_fails_or_leaves_nothing_is_told_as_such(aws, begin, fault, outcome):
    aws.faults.inject(fault)
    story = begin()
    story.run()
    assert outcome.replace("_", " ") in story.check_end(outcome, "plain")


def test_a_job_that_hangs_is_stopped_when_its_time_is_up(aws, begin):
    aws.faults.inject(Fault.HANG_JOB)
    story = begin()
    story.run("explaining")
    story.clock.ahead += timedelta(minutes=61)
    story.run()
    assert "takes too long and is stopped" in story.check_end("job_overdue", "plain")


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [
        ("CreateModel", "swap_refused"),
        ("UpdateEndpoint", "swap_refused"),
        ("CreateProcessingJob", "job_refused"),
    ],
)
def test_a_right_that_is_missing_is_named_in_the_trail(aws, begin, operation, outcome):
    aws.faults.inject(Fault.DENY, operation=operation)
    story = begin()
    story.run()
    assert f"sagemaker:{operation}" in story.check_end(outcome, "plain")


def test_events_that_come_an_hour_late_change_nothing_but_the_time(begin):
    story = begin()
    story.delivers = False
    for _ in range(12):
        story.deliver()  # what we told ourselves; of SageMaker nothing is heard, and no tick comes
        story.record()
        story.settle()
        story.clock.ahead += timedelta(hours=1)
        late, story.kept = story.kept, []
        for event in late:
            story.give(event)
        if story.diagnosis is not None and story.diagnosis.told:
            break
        time.sleep(0.5)
    else:
        story.run()
    story.check_end("explained", "plain")


def test_a_table_that_somebody_else_keeps_writing_to_costs_repetitions_only(begin):
    story = begin()
    drawn = random.Random(5)
    write = story.world.state._items.write

    def crossed(writes):
        if drawn.random() < 0.3:
            raise ConflictError("item_was_changed")
        write(writes)

    story.world.state._items.write = crossed
    story.run()
    story.check_end("explained", "plain")


class Killed(BaseException):
    """The function is gone."""


class Killing:
    """An adapter whose nth changing call, of several adapters together, is carried out and kills the function."""

    CHANGES = ("create_", "update_", "delete_", "stop_")

    def __init__(self, adapter, count, limit):
        self._adapter, self._count, self._limit = adapter, count, limit

    def __getattr__(self, name):
        method = getattr(self._adapter, name)
        if not name.startswith(self.CHANGES):
            return method

        def call(*args, **kwargs):
            method(*args, **kwargs)
            self._count.append(name)
            if len(self._count) == self._limit:
                raise Killed

        return call


def test_killed_after_each_change_to_sagemaker_in_turn_it_ends_as_if_nothing_had_happened(begin):
    """Every call of every kind is enumerated in tests/unit/flows/test_diagnosis_interrupted.py; these are the real ones."""
    struck = []
    for limit in itertools.count(1):
        story, count = begin(), []
        world = story.world
        story.world = dataclasses.replace(
            world, hosting=Killing(world.hosting, count, limit), jobs=Killing(world.jobs, count, limit)
        )
        for _ in range(3):  # the queue delivers again, and the tick comes
            try:
                story.run()
                break
            except Killed:
                struck.append(count[-1])
        story.check_end("explained", "plain")
        story.clock.ahead += timedelta(days=1)
        if len(count) < limit:
            break
    assert struck == [
        "create_model", "create_endpoint_config", "update_endpoint", "update_endpoint", "create_processing_job",
        "delete_endpoint_config", "delete_model",
    ]  # fmt: skip


def test_an_opening_that_nobody_heard_of_is_noticed_by_the_tick(begin):
    story = begin()
    story.drop("Incident Opened")
    story.clock.ahead += timedelta(minutes=4)
    story.run()
    story.check_end("explained", "plain")


def test_what_autoscaling_did_before_and_meanwhile_stays(aws, begin):
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName=make_config(aws, "scaling"))
    story = begin("scaled")
    scale(aws, story, 2)
    story.records = False
    story.run("observing")
    assert count_instances(sagemaker) == 2
    scale(aws, story, 3)
    story.records = True
    story.run()
    story.check_end("explained", "scaling")
    assert count_instances(sagemaker) == 3


def scale(aws, story, instances):
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": instances}]
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=story.endpoint, DesiredWeightsAndCapacities=wanted
    )
    story.settle()


def count_instances(sagemaker):
    (variant,) = sagemaker.describe_endpoint(EndpointName="scaled")["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def test_a_multi_model_endpoint_is_refused_with_a_sentence_and_never_touched(aws, begin):
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(
        EndpointName="many", EndpointConfigName=make_config(aws, "many-models", mode="MultiModel")
    )
    story = begin("many")
    before = sagemaker.describe_endpoint(EndpointName="many")["LastModifiedTime"]
    story.deliver()
    assert story.diagnosis is None
    trail = {entry.what: entry.data for entry in story.world.state.load_entries(story.incident_id)}
    assert "is a multi-model container" in trail["diagnosis_impossible"]["why"]
    assert sagemaker.describe_endpoint(EndpointName="many")["LastModifiedTime"] == before


def test_an_operators_own_update_is_left_alone_and_told(aws, begin):
    story = begin()
    story.records = False
    story.run("observing")
    mine = make_config(aws, "operators")
    aws.client("sagemaker").update_endpoint(EndpointName="signs", EndpointConfigName=mine)
    story.run()
    assert "Somebody else changed the endpoint: hands off" in story.check_end(
        "operator_changed_endpoint", mine
    )
    aws.client("sagemaker").update_endpoint(EndpointName="signs", EndpointConfigName="plain")
    story.settle()


def test_an_operators_update_that_is_under_way_when_the_incident_opens_is_waited_for(aws, begin):
    """The diagnosis is of what the operator deployed, and goes back to that."""
    mine = make_config(aws, "operators-next")
    story = begin()
    aws.faults.inject(Fault.SLOW_UPDATE, times=1, seconds=3)
    aws.client("sagemaker").update_endpoint(EndpointName="signs", EndpointConfigName=mine)
    story.deliver()
    assert story.diagnosis is None
    assert story.settle()["EndpointConfigName"] == mine
    story.clock.ahead += timedelta(minutes=4)  # from then on the tick looks for what nobody decided about
    story.run()
    assert "a diagnosis waits for that" in story.check_end("explained", mine)
    assert story.diagnosis.original_config == mine
    aws.client("sagemaker").update_endpoint(EndpointName="signs", EndpointConfigName="plain")
    story.settle()
