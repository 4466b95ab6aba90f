"""Random stories of one diagnosis: whatever happens in whatever order, the endpoint is its owner's in the end.

Calls to SageMaker fail before they do anything, kill the function or lose their answer after they did it, or let the
operator in first. Events are lost, ticks come, hours pass, updates are rolled back, the kill switch is thrown. Then the trouble ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
from datetime import timedelta

import pytest

from sagewatch.diagnose.model import Switch
from sagewatch.entry import handle
from sagewatch.errors import DeclinedError, RefusedError, RetryError
from sagewatch.events import Ticked
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from tests.unit.flows.worlds import build_event, build_finding, build_world

OURS, MADE_AGAIN, OWNERS = "sagewatch-hooked-", "sagewatch-restored-", "owners-"
WAKES = frozenset({"Incident Opened", "Incident Resolved", "Diagnosis Due"})
POLICY = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "5xx"}]}}
PEACE_ROUNDS = 130  # more than three moves of half an hour, and the two hours of watching


class Killed(BaseException):
    """The function is gone."""


@dataclasses.dataclass
class Odds:
    """How often a call is throttled, lets the operator in, kills the function afterwards, or is done and not answered."""

    throttled: float = 0
    operator: float = 0
    killed: float = 0
    unanswered: float = 0


class Unreliable:
    """SageMaker's ports, with trouble."""

    def __init__(self, inner, story):
        self._inner, self._story = inner, story

    def __getattr__(self, name):
        method = getattr(self._inner, name)

        def call(*args, **kwargs):
            drawn, odds = self._story.drawn, self._story.odds
            if drawn.random() < odds.throttled:
                raise RetryError("ThrottlingException")
            if drawn.random() < odds.operator:
                self._story.let_operator_in()
            if name == "update_endpoint" and self._story.refuses_back(*args[1:]):
                raise DeclinedError("update_refused", "an alarm is gone")
            answer = method(*args, **kwargs)
            if drawn.random() < odds.killed:
                raise Killed
            if drawn.random() < odds.unanswered:
                raise drawn.choice(
                    [RetryError("ReadTimeoutError"), DeclinedError("update_refused", "in progress")]
                )
            return answer

        return call


class Story:
    """One diagnosis, from its incident to long after its end."""

    def __init__(self, seed):
        self.drawn = drawn = random.Random(seed)
        self.odds = Odds(
            *(drawn.choice(each) for each in [(0, 0.02, 0.1), (0, 0.03, 0.1), (0, 0.02, 0.1), (0, 0.03, 0.1)])
        )
        self.world = build_world()
        self.sagemaker = self.world.hosting
        self.troubled = dataclasses.replace(
            self.world, hosting=Unreliable(self.sagemaker, self), jobs=Unreliable(self.sagemaker, self)
        )
        self.has_policy = drawn.random() < 0.5
        if self.has_policy:
            self.sagemaker.endpoints["signs"]["LastDeploymentConfig"] = POLICY
        self.refused = drawn.choice(["", "policy", "all at once" if self.has_policy else ""])
        self.newest = "signs-config"
        self._delivered = 0

    def run(self):
        self._attempt(lambda: handle(manage_incident, build_event(build_finding()), self.world))
        for _ in range(self.drawn.randint(10, 60)):
            self._make_trouble()
            self._go_on(settles=self.drawn.random() < 0.5, loses=0.3)
        self.odds, self.sagemaker.rolls_back = Odds(), False
        for _ in range(PEACE_ROUNDS):
            self._go_on(settles=True, loses=0)

    def refuses_back(self, config, deployment):
        """Whether AWS never takes such a way back: for good, in this story."""
        return not config.startswith(OURS) and self.refused == ("policy" if deployment else "all at once")

    def let_operator_in(self):
        """A deployment, of the owner's or of a clone of what is live; a deletion of what is not live; the end of the endpoint."""
        sagemaker = self.sagemaker
        live = sagemaker.endpoints.get("signs")
        if live is None:
            return
        is_own = (
            live["EndpointConfigName"] == "signs-config" or sagemaker._target.get("signs") == "signs-config"
        )
        wish = self.drawn.choice(
            ["deploy", "deploy", "deploy", "clone", "delete config", "delete model", "delete endpoint"]
        )
        if wish in {"deploy", "clone"} and live["EndpointStatus"] == "InService":
            self._deploy(
                sagemaker.configs.get(live["EndpointConfigName"] if wish == "clone" else "signs-config")
            )
        elif wish == "delete config" and not is_own:
            sagemaker.configs.pop("signs-config", None)
        elif wish == "delete model" and not is_own:
            sagemaker.models.pop("signs-model", None)
        elif wish == "delete endpoint" and self.drawn.random() < 0.1:
            del sagemaker.endpoints["signs"]
            sagemaker._target.clear()

    def _deploy(self, config):
        if config is None:
            return
        name = f"{OWNERS}{len(self.sagemaker.configs)}-{self.drawn.randint(0, 999)}"
        self.sagemaker.configs[name] = {**config, "EndpointConfigName": name}
        self.sagemaker.endpoints["signs"]["EndpointStatus"] = "Updating"
        self.sagemaker._target["signs"] = name
        if self.drawn.random() < 0.5:
            self._settle()  # it is over before the function's next call

    def _make_trouble(self):
        chance = self.drawn.random()
        if chance < 0.05:
            self.world.state.save_switch(Switch(on=self.drawn.random() < 0.5, by="ana", reason="release"))
        elif chance < 0.1:
            self.sagemaker.rolls_back = not self.sagemaker.rolls_back
        elif chance < 0.13:
            self.let_operator_in()
        elif chance < 0.2:
            self.world.now.move(timedelta(minutes=self.drawn.choice([5, 21, 40])))

    def _go_on(self, *, settles, loses):
        """A minute: the tick, what it sends, what the endpoint records, and SageMaker's own pace."""
        self.world.now.move(timedelta(minutes=1))
        self._attempt(lambda: tick(Ticked(self.world.now()), self.world))
        events = self.world.bus.events[self._delivered :]
        self._delivered += len(events)
        for event in events:
            if event["detail-type"] in WAKES and self.drawn.random() >= loses:
                self._attempt(lambda event=event: handle(advance_diagnosis, event, self.troubled))
        if self.live.startswith(OURS):
            key = f"tensors/{self.live.removeprefix(OURS)}/w/index/000000000/{self.drawn.randint(0, 5):012d}_worker_0.json"
            self.world.objects.bodies["evidence", key] = b"{}"
        if settles:
            self._settle()

    def _settle(self):
        self.sagemaker.settle()
        if self.live.startswith(OWNERS):
            self.newest = self.live

    @property
    def live(self):
        """The endpoint's configuration; empty where it is gone."""
        return self.sagemaker.endpoints.get("signs", {}).get("EndpointConfigName", "")

    @staticmethod
    def _attempt(work):
        with contextlib.suppress(RetryError, RefusedError, Killed):
            work()


@pytest.mark.parametrize("seed", range(80))
def test_whatever_happens_the_endpoint_is_its_owners_in_the_end_and_nothing_of_ours_is_left(seed):
    story = Story(seed)
    story.run()
    sagemaker, lease = story.sagemaker, story.world.state.load_diagnosis("signs")
    assert lease is None or (lease.phase.over and lease.told), (
        f"the lease is held: {lease.phase}, {lease.held_up}"
    )
    assert not story.live.startswith(OURS)
    back = story.newest == "signs-config" and story.live.startswith(MADE_AGAIN)
    assert story.live in {"", story.newest} or back, "an operator's own update is never undone"
    runs = [
        one.get("ModelName") for one in sagemaker.configs.get(story.live, {}).get("ProductionVariants", [])
    ]
    left = [name for name in (*sagemaker.configs, *sagemaker.models) if name.startswith(OURS)]
    assert {one for one in runs if one.startswith(OURS)} <= sagemaker.models.keys(), (
        "an instance could not be replaced"
    )
    # What an operator's clone runs is theirs to change first; then they were told to delete it.
    assert set(left) <= {*runs} or (lease is not None and lease.cannot_delete)
    assert not [job for job in sagemaker.jobs.values() if job["ProcessingJobStatus"] == "InProgress"]
    if lease is not None:
        said = story.world.state.load_incident(lease.incident_id).diagnosis
        assert said.stage in {"finished", "abandoned"}
