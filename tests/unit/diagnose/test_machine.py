"""Every pair of phase and sight is decided; the walk through them always ends on the right configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.diagnose.commands import (
    DeleteHooked,
    EnsureHooked,
    Refuse,
    StartJob,
    Step,
    StopJob,
    UpdateEndpoint,
)
from sagewatch.diagnose.machine import ATTEMPTS, CLAIMS, decide_next, decide_refused, decide_start
from sagewatch.diagnose.model import Diagnosis, Phase, Policy, Seen
from sagewatch.diagnose.way_back import note_held_up

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


def rest(**changes: object) -> Diagnosis:
    """The lease of another incident's diagnosis, over and told."""
    return build(Phase.FINISHED, incident_id="i0", told=True, **changes)


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
        (build(), POLICY, "already_diagnosed"),
        (build(incident_id="i0"), POLICY, "endpoint_is_leased"),
        (build(Phase.FINISHED, incident_id="i0"), POLICY, "endpoint_is_leased"),  # its end is not told yet
        (rest(cooldown_until=NOW + timedelta(1)), POLICY, "cooling_down"),
        (rest(used_today=2), POLICY, "daily_budget_used"),
    ],
)
def test_a_lease_is_refused_with_its_reason(lease, policy, reason):
    assert decide_start(lease, build(), see(), policy, NOW) == Refuse(reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("Updating", "endpoint_is_updating"),
        ("RollingBack", "endpoint_is_updating"),
        ("Failed", "endpoint_failed"),
    ],
)
def test_an_endpoint_that_is_not_in_service_costs_no_lease_and_no_budget(status, reason):
    assert decide_start(None, build(), see(status=status), POLICY, NOW) == Refuse(reason)
    replay = msgspec.structs.replace(POLICY, mode="replay")
    assert isinstance(decide_start(None, build(mode="replay"), see(status=status), replay, NOW), Step)


@pytest.mark.parametrize("seen", [see(HOOKED), see(HOOKED, "Updating")])
def test_a_deadline_that_is_put_off_is_not_forgotten(seen):
    """The alarm goes by it: an endpoint that is not back is later with every minute, however often it is asked."""
    diagnosis, now = build(Phase.RESTORING, due=NOW), NOW
    for _ in range(5):
        diagnosis = decide_next(diagnosis, seen, POLICY, now).diagnosis
        assert diagnosis.deadline == NOW
        assert diagnosis.due > now
        now += timedelta(minutes=31)
    back = decide_next(diagnosis, see(), POLICY, now).diagnosis
    assert decide_next(back, see(), POLICY, now).diagnosis.late_since is None or back.phase.over
    explained = decide_next(
        build(Phase.RESTORING, late_since=NOW, explains=True), see(), POLICY, now
    ).diagnosis
    assert (explained.phase, explained.deadline) == (Phase.EXPLAINING, now + POLICY.explain_within)


def test_the_budget_of_yesterday_is_no_budget_of_today():
    lease = rest(used_on="2026-11-20", used_today=2, version=9)
    step = decide_start(lease, build(used_today=0), see(), POLICY, NOW)
    assert isinstance(step, Step)
    assert (step.diagnosis.used_today, step.diagnosis.version) == (1, 9)


@pytest.mark.parametrize(
    ("diagnosis", "seen", "phase", "commands", "reason"),
    [
        (build(), see(), "swapping", (EnsureHooked(), UpdateEndpoint(HOOKED)), "swap_asked_for"),
        (build(), see(LIVE, "Updating"), "swapping", (), "waiting_for_endpoint"),
        (build(due=NOW), see(LIVE, "RollingBack"), "swapping", (), "endpoint_is_stuck"),
        (build(attempts=1), see(HOOKED), "observing", (), "hooked_config_verified"),
        (build(attempts=ATTEMPTS), see(), "restoring", (), "update_rolled_back"),
        (build(attempts=ATTEMPTS, asked=1), see(), "restoring", (), "update_rolled_back"),
        (build(attempts=CLAIMS, asked=0), see(), "restoring", (), "swap_never_made"),
        (
            build(attempts=CLAIMS - 1, asked=0),
            see(),
            "swapping",
            (EnsureHooked(), UpdateEndpoint(HOOKED)),
            "swap_asked_for",
        ),
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
            (UpdateEndpoint(LIVE),),
            "enough_recorded",
        ),
        (
            build(Phase.OBSERVING, due=NOW),
            see(HOOKED, recorded=3),
            "restoring",
            (UpdateEndpoint(LIVE),),
            "observation_over",
        ),
        (
            build(Phase.OBSERVING, due=NOW),
            see(HOOKED),
            "restoring",
            (UpdateEndpoint(LIVE),),
            "observation_over",
        ),
        (build(Phase.OBSERVING), see(LIVE, recorded=9), "restoring", (), "restored_by_somebody"),
        (
            build(Phase.OBSERVING, held_up="ReadTimeoutError"),
            see(LIVE, recorded=9, stop="switched_off"),
            "restoring",
            (),
            "switched_off",
        ),
        (
            build(Phase.OBSERVING, held_up="ReadTimeoutError"),
            see(LIVE, recorded=9),
            "restoring",
            (),
            "restore_asked_for",
        ),
        (
            build(Phase.OBSERVING),
            see(HOOKED, recorded=3, stop="incident_resolved"),
            "restoring",
            (UpdateEndpoint(LIVE),),
            "incident_resolved",
        ),
        (build(), see(stop="switched_off"), "restoring", (), "switched_off"),
        (build(), see(HOOKED, stop="switched_off"), "observing", (), "hooked_config_verified"),
        (build(), see(LIVE, "Updating", stop="switched_off"), "swapping", (), "waiting_for_endpoint"),
        (
            build(Phase.RESTORING, explains=True),
            see(HOOKED, "Updating"),
            "restoring",
            (StartJob(),),
            "job_begun",
        ),
        (
            build(Phase.RESTORING, restores=1),
            see(HOOKED),
            "restoring",
            (UpdateEndpoint(LIVE, carefully=False),),
            "restore_asked_for",
        ),
        (build(Phase.RESTORING, due=NOW), see(HOOKED), "restoring", (), "restore_overdue"),
        (
            build(Phase.RESTORING, cannot_delete=True, explains=True),
            see(hooked_exists=True),
            "explaining",
            (),
            "could_not_delete",
        ),
        (build(), see(LIVE, "Failed", hooked_exists=True), "swapping", (DeleteHooked(),), "endpoint_failed"),
        (build(), see(HOOKED, "Failed", hooked_exists=True), "abandoned", (), "endpoint_failed"),
        (build(), see(LIVE, "UpdateRollbackFailed", hooked_exists=True), "abandoned", (), "endpoint_failed"),
        (build(Phase.RESTORING), see(HOOKED), "restoring", (UpdateEndpoint(LIVE),), "restore_asked_for"),
        (
            build(Phase.RESTORING),
            see(hooked_exists=True),
            "restoring",
            (DeleteHooked(),),
            "original_config_verified",
        ),
        (build(Phase.RESTORING, explains=True), see(), "explaining", (), "nothing_of_ours_left"),
        (build(Phase.RESTORING, outcome="no_tensors"), see(), "finished", (), "no_tensors"),
        (
            build(Phase.RESTORING, explains=True),
            see(FOREIGN, hooked_exists=True),
            "restoring",
            (DeleteHooked(),),
            "operator_changed_endpoint",
        ),
        (build(Phase.RESTORING, explains=True), see(FOREIGN), "explaining", (), "operator_changed_endpoint"),
        (build(Phase.RESTORING, explains=True), see(None, None), "explaining", (), "endpoint_is_gone"),
        (
            build(Phase.RESTORING, explains=True),
            see(HOOKED, "Failed", hooked_exists=True),
            "explaining",
            (),
            "endpoint_failed",
        ),
        (build(Phase.RESTORING), see(FOREIGN), "abandoned", (), "operator_changed_endpoint"),
        (build(Phase.EXPLAINING), see(job_status="InProgress"), "explaining", (), "waiting_for_job"),
        (build(Phase.EXPLAINING), see(), "explaining", (StartJob(),), "job_begun"),
        (build(Phase.EXPLAINING, job_started=True), see(), "explaining", (StartJob(),), "job_was_missing"),
        (build(Phase.EXPLAINING, due=NOW), see(), "finished", (), "job_never_started"),
        (build(Phase.EXPLAINING), see(job_status="Completed", explained=4), "finished", (), "explained"),
        (build(Phase.EXPLAINING), see(job_status="Completed"), "finished", (), "job_left_nothing"),
        (build(Phase.EXPLAINING), see(job_status="Failed"), "finished", (), "job_failed"),
        (
            build(Phase.EXPLAINING, due=NOW),
            see(job_status="InProgress"),
            "explaining",
            (StopJob(),),
            "job_overdue",
        ),
        (build(Phase.EXPLAINING, due=NOW), see(job_status="Stopping"), "explaining", (), "waiting_for_job"),
        (build(Phase.EXPLAINING, due=NOW), see(job_status="Stopped"), "finished", (), "job_overdue"),
        (
            build(Phase.EXPLAINING, due=NOW - timedelta(hours=1)),
            see(job_status="Stopping"),
            "finished",
            (),
            "job_overdue",
        ),
    ],
)
def test_the_next_step_follows_from_phase_and_sight(diagnosis, seen, phase, commands, reason):
    step = decide_next(diagnosis, seen, POLICY, NOW)
    assert (step.diagnosis.phase.value, step.commands, step.reason) == (phase, commands, reason)


@pytest.mark.parametrize(
    ("diagnosis", "command", "phase", "outcome"),
    [
        (build(), EnsureHooked(), "restoring", "swap_refused"),
        (build(), UpdateEndpoint(HOOKED), "restoring", "swap_refused"),
        (build(Phase.RESTORING, explains=True), StartJob(), "restoring", "job_refused"),
        (build(Phase.EXPLAINING), StartJob(), "finished", "job_refused"),
        (build(Phase.EXPLAINING), StopJob(), "finished", "job_overdue"),
        (build(Phase.RESTORING, outcome="no_tensors"), DeleteHooked(), "restoring", "no_tensors"),
    ],
)
def test_what_aws_refuses_for_good_ends_the_attempt_and_never_the_restore(diagnosis, command, phase, outcome):
    step = decide_refused(diagnosis, command, POLICY, NOW)
    assert (step.diagnosis.phase, step.diagnosis.outcome, step.commands) == (phase, outcome, ())


def test_a_refused_way_back_is_tried_for_ever():
    assert decide_refused(build(Phase.RESTORING), UpdateEndpoint(LIVE), POLICY, NOW) is None
    assert decide_refused(build(Phase.OBSERVING), UpdateEndpoint(LIVE), POLICY, NOW) is None


@pytest.mark.parametrize(
    ("job", "reason"), [("Completed", "explained"), ("Failed", "job_failed"), ("Stopped", "job_failed")]
)
def test_an_endpoint_that_was_let_go_is_what_people_hear_of_whatever_its_job_came_to(job, reason):
    let = decide_next(build(Phase.RESTORING, explains=True), see(FOREIGN), POLICY, NOW).diagnosis
    step = decide_next(let, see(FOREIGN, job_status=job, explained=4), POLICY, NOW)
    assert (step.diagnosis.phase, step.diagnosis.outcome) == (Phase.ABANDONED, "operator_changed_endpoint")
    assert step.reason == reason


@pytest.mark.parametrize("phase", [Phase.OBSERVING, Phase.RESTORING])
def test_a_way_back_that_aws_says_no_to_is_asked_for_by_the_policy_and_all_at_once_in_turn(phase):
    asked, diagnosis = [], build(phase, recorded=40)
    for _ in range(4):
        (command,) = decide_next(diagnosis, see(HOOKED), POLICY, NOW).commands
        asked.append(command.carefully)
        diagnosis = note_held_up(diagnosis, command, "update_refused", POLICY, NOW, declined=True)
    assert asked == [True, False, True, False]
    assert (diagnosis.phase, diagnosis.held_up) == (phase, "update_refused")


def test_a_way_back_for_which_aws_is_only_busy_stays_the_careful_one():
    diagnosis = build(Phase.RESTORING)
    for _ in range(3):
        (command,) = decide_next(diagnosis, see(HOOKED), POLICY, NOW).commands
        assert command == UpdateEndpoint(LIVE, carefully=True)
        diagnosis = note_held_up(diagnosis, command, "ThrottlingException", POLICY, NOW, declined=False)


def test_a_way_back_that_is_late_by_a_whole_move_is_asked_for_otherwise_whatever_stands_in_the_way():
    diagnosis = build(Phase.RESTORING, due=NOW)
    for late, refused in ((0, 0), (29, 0), (30, 1), (600, 1)):
        now = NOW + timedelta(minutes=late)
        held = note_held_up(diagnosis, UpdateEndpoint(LIVE), "any", POLICY, now, declined=False)
        assert held.refused == refused


@pytest.mark.parametrize("phase", [Phase.OBSERVING, Phase.RESTORING])
def test_an_endpoint_on_what_we_made_again_is_its_owners_whatever_we_remember_of_it(phase):
    diagnosis = build(phase, held_up="ReadTimeoutError", recorded=9)
    again = f"sagewatch-restored-{diagnosis.incident_id}"
    step = decide_next(diagnosis, see(again, hooked_exists=True), POLICY, NOW)
    assert (step.diagnosis.phase, step.diagnosis.original_config) == (Phase.RESTORING, again)


def test_a_refused_swap_says_nothing_of_the_way_back():
    assert (
        note_held_up(build(), UpdateEndpoint(HOOKED), "update_refused", POLICY, NOW, declined=True).refused
        == 0
    )


SIGHTS = [
    Seen(config, status, hooked, recorded, job, explained=recorded, stop=stop)
    for config, status, hooked, recorded, job, stop in product(
        [LIVE, HOOKED, FOREIGN, None],
        [
            "InService",
            "Updating",
            "RollingBack",
            "Failed",
            "OutOfService",
            "UpdateRollbackFailed",
            "Deleting",
            None,
        ],
        [False, True],
        [0, 40],
        [None, "InProgress", "Stopping", "Completed", "Failed", "Stopped"],
        ["", "switched_off"],
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
                assert not (seen.stop and command.config == HOOKED), "what is stopped is not swapped"
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
        self.hooked_exists, self.recorded, self.job, self.stop = False, 0, None, ""

    def give(self, command) -> None:
        if isinstance(command, EnsureHooked):
            self.hooked_exists = True
        elif isinstance(command, UpdateEndpoint):
            self.status, self.target = "Updating", command.config
        elif isinstance(command, StartJob):
            self.job = self.job or "InProgress"
        elif isinstance(command, StopJob):
            self.job = "Stopped"
        else:
            self.hooked_exists = False

    def see(self) -> Seen:
        return Seen(
            self.config, self.status, self.hooked_exists, self.recorded, self.job, explained=4, stop=self.stop
        )


EVENTS = st.lists(
    st.sampled_from(
        [
            "wake",
            "settle",
            "roll_back",
            "record",
            "job_done",
            "job_fails",
            "crash",
            "time",
            "operator",
            "switch",
            "refuse",
        ]
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_whatever_happens_the_endpoint_ends_on_its_own_or_its_operators_config(events):  # noqa: C901 (one branch an event)
    endpoint, diagnosis, now, mine = LocalEndpoint(), build(), NOW, LIVE
    ending = ["settle", "wake", "wake", "time"] * 30 + ["job_done", "wake", "wake", "wake"]
    for event in [*events, *ending]:
        if event in {"wake", "crash"}:
            step = decide_next(diagnosis, endpoint.see(), POLICY, now)
            diagnosis = step.diagnosis
            # The crash falls after the claim and after the first command.
            for command in step.commands[: 1 if event == "crash" else None]:
                endpoint.give(command)
        elif event == "refuse":
            # AWS refuses the first command for good, after the claim.
            step = decide_next(diagnosis, endpoint.see(), POLICY, now)
            if step.commands:
                answer = decide_refused(step.diagnosis, step.commands[0], POLICY, now)
                diagnosis = answer.diagnosis if answer else diagnosis
        elif event == "switch":
            endpoint.stop = "" if endpoint.stop else "switched_off"
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
    assert diagnosis.cannot_delete or not endpoint.hooked_exists
