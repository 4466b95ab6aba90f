"""Every pair of phase and sight is decided; the walk through them always ends on the right configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.diagnose.machine import (
    ATTEMPTS,
    DeleteHooked,
    EnsureHooked,
    Refuse,
    StartJob,
    Step,
    UpdateEndpoint,
    decide_next,
    decide_start,
)
from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy(requests=40, at_most=timedelta(minutes=20), cooldown=timedelta(hours=6), per_day=2)
LIVE, HOOKED, FOREIGN = "signs-config", "sagewatch-hooked-i1", "operators-config"


def build(phase: Phase = Phase.SWAPPING, **changes: object) -> Diagnosis:
    plain = Diagnosis(
        incident_id="i1",
        endpoint="signs",
        variant="AllTraffic",
        subject="14",
        phase=phase,
        original_config=LIVE,
        original_model="signs-model",
        hooked_config=HOOKED,
        hooked_model=HOOKED,
        tensors_prefix="tensors/i1/",
        job="sagewatch-explain-i1",
        started_at=NOW,
        due=NOW + timedelta(minutes=30),
        used_on="2026-11-21",
        used_today=1,
    )
    return msgspec.structs.replace(plain, **changes)


def see(config: str | None = LIVE, status: str | None = "InService", **changes: object) -> Seen:
    return Seen(config, status, **changes)


def test_an_idle_endpoint_is_leased_to_the_first_incident():
    step = decide_start(None, build(used_today=0), see(), POLICY, NOW)
    assert isinstance(step, Step)
    assert step.diagnosis.used_today == 1
    assert step.reason == "lease_taken"


@pytest.mark.parametrize(
    ("lease", "policy", "reason"),
    [
        (None, Policy(mode="off"), "mode_is_off"),
        (None, Policy(mode="replay"), "mode_is_replay"),
        (build(), POLICY, "already_diagnosed"),
        (build(incident_id="i0"), POLICY, "endpoint_is_leased"),
        (build(Phase.FINISHED, incident_id="i0", cooldown_until=NOW + timedelta(1)), POLICY, "cooling_down"),
        (build(Phase.FINISHED, incident_id="i0", used_today=2), POLICY, "daily_budget_used"),
    ],
)
def test_a_lease_is_refused_with_its_reason(lease, policy, reason):
    assert decide_start(lease, build(), see(), policy, NOW) == Refuse(reason)


def test_the_budget_of_yesterday_is_no_budget_of_today():
    lease = build(Phase.FINISHED, incident_id="i0", used_on="2026-11-20", used_today=2, version=9)
    step = decide_start(lease, build(used_today=0), see(), POLICY, NOW)
    assert isinstance(step, Step)
    assert (step.diagnosis.used_today, step.diagnosis.version) == (1, 9)


@pytest.mark.parametrize(
    ("diagnosis", "seen", "phase", "commands", "reason"),
    [
        (build(), see(), "swapping", (EnsureHooked(), UpdateEndpoint(HOOKED)), "swap_asked_for"),
        (build(), see(LIVE, "Updating"), "swapping", (), "waiting_for_endpoint"),
        (build(due=NOW), see(LIVE, "RollingBack"), "swapping", (), "waiting_overdue"),
        (build(attempts=1), see(HOOKED), "observing", (), "hooked_config_verified"),
        (build(attempts=ATTEMPTS), see(), "restoring", (), "update_rolled_back"),
        (build(due=NOW), see(), "restoring", (), "swap_overdue"),
        (
            build(),
            see(FOREIGN, hooked_exists=True),
            "swapping",
            (DeleteHooked(),),
            "operator_changed_endpoint",
        ),
        (build(), see(FOREIGN), "abandoned", (), "operator_changed_endpoint"),
        (build(), see(None, None), "abandoned", (), "endpoint_is_gone"),
        (build(), see(LIVE, "Failed"), "abandoned", (), "endpoint_failed"),
        (build(Phase.OBSERVING), see(HOOKED, recorded=39), "observing", (), "waiting_for_tensors"),
        (
            build(Phase.OBSERVING),
            see(HOOKED, recorded=40),
            "restoring",
            (StartJob(), UpdateEndpoint(LIVE)),
            "enough_recorded",
        ),
        (
            build(Phase.OBSERVING, due=NOW),
            see(HOOKED, recorded=3),
            "restoring",
            (StartJob(), UpdateEndpoint(LIVE)),
            "observation_over",
        ),
        (
            build(Phase.OBSERVING, due=NOW),
            see(HOOKED),
            "restoring",
            (UpdateEndpoint(LIVE),),
            "observation_over",
        ),
        (build(Phase.OBSERVING), see(LIVE, recorded=9), "restoring", (StartJob(),), "restored_by_somebody"),
        (build(Phase.RESTORING), see(HOOKED), "restoring", (UpdateEndpoint(LIVE),), "restore_asked_for"),
        (
            build(Phase.RESTORING),
            see(hooked_exists=True),
            "restoring",
            (DeleteHooked(),),
            "original_config_verified",
        ),
        (build(Phase.RESTORING, job_started=True), see(), "explaining", (), "nothing_of_ours_left"),
        (build(Phase.RESTORING, outcome="no_tensors"), see(), "finished", (), "no_tensors"),
        (build(Phase.EXPLAINING), see(job_status="InProgress"), "explaining", (), "waiting_for_job"),
        (build(Phase.EXPLAINING), see(), "explaining", (StartJob(),), "job_was_missing"),
        (build(Phase.EXPLAINING), see(job_status="Completed"), "finished", (), "explained"),
        (build(Phase.EXPLAINING), see(job_status="Failed"), "finished", (), "job_failed"),
        (build(Phase.EXPLAINING, due=NOW), see(job_status="InProgress"), "finished", (), "job_overdue"),
    ],
)
def test_the_next_step_follows_from_phase_and_sight(diagnosis, seen, phase, commands, reason):
    step = decide_next(diagnosis, seen, POLICY, NOW)
    assert (step.diagnosis.phase.value, step.commands, step.reason) == (phase, commands, reason)


SIGHTS = [
    Seen(config, status, hooked, recorded, job)
    for config, status, hooked, recorded, job in product(
        [LIVE, HOOKED, FOREIGN, None],
        ["InService", "Updating", "RollingBack", "Failed", "OutOfService", "Deleting", None],
        [False, True],
        [0, 40],
        [None, "InProgress", "Completed", "Failed", "Stopped"],
    )
    if (config is None) == (status is None)  # an endpoint is there or it is not
]


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("late", [False, True])
def test_every_pair_of_phase_and_sight_is_decided_and_safe(phase, late):
    for seen in SIGHTS:
        step = decide_next(build(phase, due=NOW if late else NOW + timedelta(1)), seen, POLICY, NOW)
        for command in step.commands:
            if isinstance(command, UpdateEndpoint):
                assert seen.status == "InService", "a moving endpoint is never told to move"
                assert seen.config in {LIVE, HOOKED}, "an operator's configuration is never replaced"
            if isinstance(command, DeleteHooked):
                assert seen.config != HOOKED, "what is live is never deleted"
        if (
            step.diagnosis.phase.over
            and seen.config != HOOKED
            and seen.status == "InService"
            and not phase.over
        ):
            assert phase is Phase.EXPLAINING or not seen.hooked_exists, "nothing of ours is left behind"


class LocalEndpoint:
    """An endpoint that moves when told, and fails as AWS's do."""

    def __init__(self) -> None:
        self.config, self.status, self.target = LIVE, "InService", LIVE
        self.hooked_exists, self.recorded, self.job = False, 0, None

    def give(self, command) -> None:
        if isinstance(command, EnsureHooked):
            self.hooked_exists = True
        elif isinstance(command, UpdateEndpoint):
            self.status, self.target = "Updating", command.config
        elif isinstance(command, StartJob):
            self.job = self.job or "InProgress"
        else:
            self.hooked_exists = False

    def see(self) -> Seen:
        return Seen(self.config, self.status, self.hooked_exists, self.recorded, self.job)


EVENTS = st.lists(
    st.sampled_from(
        ["wake", "settle", "roll_back", "record", "job_done", "job_fails", "crash", "time", "operator"]
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_whatever_happens_the_endpoint_ends_on_its_own_or_its_operators_config(events):
    endpoint, diagnosis, now, mine = LocalEndpoint(), build(), NOW, LIVE
    ending = ["settle", "wake", "wake", "time"] * 30 + ["job_done", "wake", "wake", "wake"]
    for event in [*events, *ending]:
        if event in {"wake", "crash"}:
            step = decide_next(diagnosis, endpoint.see(), POLICY, now)
            diagnosis = step.diagnosis
            # The crash falls after the claim and after the first command.
            for command in step.commands[: 1 if event == "crash" else None]:
                endpoint.give(command)
        elif event == "settle" and endpoint.status == "Updating":
            endpoint.config, endpoint.status = endpoint.target, "InService"
        elif event == "roll_back" and endpoint.status == "Updating":
            endpoint.status = "InService"
        elif event == "record" and endpoint.config == HOOKED:
            endpoint.recorded += 20
        elif event in {"job_done", "job_fails"} and endpoint.job == "InProgress":
            endpoint.job = "Completed" if event == "job_done" else "Failed"
        elif event == "time":
            now += timedelta(minutes=7)
        elif event == "operator" and endpoint.status == "InService":
            endpoint.config = mine = FOREIGN
    assert diagnosis.phase.over
    assert (endpoint.config, endpoint.status) == (mine, "InService")
    assert not endpoint.hooked_exists
