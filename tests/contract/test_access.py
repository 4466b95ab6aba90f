"""What each flow asks of AWS, as it comes, in a live replay and in a rehearsal, is what its role allows: by resource."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from sagewatch import ports
from sagewatch.entry import handle
from sagewatch.errors import DeliveryError
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.flows.slack_action import slack_action
from sagewatch.flows.tick import tick
from sagewatch.memory.schedules import MemorySchedules
from sagewatch.memory.world import MemoryHooks, MemoryLetters
from sagewatch.place import Place
from sagewatch.rehearsal import build_replay_name, choose_world
from sagewatch.world import World
from tests.contract.access import (
    PORTS,
    allows,
    build_arn,
    find_seats,
    guard,
    guard_desk,
    list_statements,
    listed,
    resolve,
)
from tests.contract.access_calls import CALLS, OWN
from tests.contract.test_permissions import DRAINING, RUNTIME, needed_by
from tests.unit.flows.captures import draw_attacked, draw_clean, put_file, put_files
from tests.unit.flows.test_elsewhere import BOTH, THERE, Spoke, forward
from tests.unit.flows.test_ingest_report import finish
from tests.unit.flows.test_slack_action import Stage as Buttons
from tests.unit.flows.test_start_monitor import build as build_monitored
from tests.unit.flows.test_start_monitor import wake
from tests.unit.flows.worlds import LISTENERS, MONITORS, NOW, build_world, record_and_settle

WITH_TEST = MONITORS.replace(
    "receivers:",
    "routes: {receiver: ml-on-call}\nreceivers:\n  test: {slack: {channel: '#test', token: 'secret:sagewatch/t'}}",
)
ALL_CHANNELS = (
    MONITORS.replace(
        "    diagnosis:",
        "    quality: {baseline: 's3://captures/baseline', scheduler: model-monitor}\n    diagnosis:",
    )
    + """\
  pager: {pagerduty: {key: "ssm:sagewatch/pagerduty"}, webhook: {url: "https://example.com", secret: "secret:sagewatch/w"}}
  letters: {html-mail: {sender: alerts@example.com, to: [a@example.com]}, amazon-q: {}, slack-webhook: {url: "secret:sagewatch/u"}}
routes:
  receiver: ml-on-call
  routes:
    - {match: ["severity=~.+"], receiver: pager, continue: true}
    - {match: ["severity=~.+"], receiver: letters, continue: true}
    - {match: ["severity=~.+"], receiver: ml-on-call}
"""
)
IN_SPOKE = Place("210987654321", "eu-west-1")
NAMES = {
    "as it comes": "",
    "live replay": build_replay_name(NOW, live=True),
    "rehearsal": build_replay_name(NOW, live=False),
    "canary": "canary.20261121T120000Z",
}


@pytest.fixture(scope="module")
def seats(template):
    """Where each function stands, by the function's name."""
    return find_seats(template)


class Stage:
    """An attack's captures with a line that nobody can read, a report with violations, and all that follows."""

    def __init__(self, seats, name, monitors=WITH_TEST):
        self.seats, self.name = seats, name
        self.world, self.asked, self.done = build_world(monitors), {}, 0

    def give(self, flow, event):
        envelope = {**event, "replay-name": self.name} if self.name and "replay-name" not in event else event
        seen = self.asked.setdefault(flow.__name__, [])
        handle(flow, envelope, choose_world(guard(self.world, self.seats[flow.__name__], seen), envelope))

    def carry(self):
        events = self.world.bus.events
        while self.done < len(events):
            event = events[self.done]
            self.done += 1
            for flow in LISTENERS.get(event["detail-type"], ()):
                # Facts that follow carry their mark themselves.
                seen = self.asked.setdefault(flow.__name__, [])
                world = guard(self.world, self.seats[flow.__name__], seen)
                handle(flow, event, choose_world(world, event))

    def play(self):
        rng = random.Random(1)
        self.give(ingest_capture, put_file(self.world, draw_clean(10, rng), NOW, number=900, spoil=(3,)))
        for event in put_files(self.world, draw_clean(300, rng) + draw_attacked(60, rng), NOW):
            self.give(ingest_capture, event)
        self.give(ingest_report, finish(self.world, 1, violations=("speed",), rows=100))
        self.carry()
        if not self.name:
            seat, seen = self.seats["advance_diagnosis"], self.asked["advance_diagnosis"]
            record_and_settle(guard(self.world, seat, seen))
        for _ in range(5):
            self.world.now.move(timedelta(minutes=1))
            self.carry()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_role_lets_its_flow_read_and_write_all_that_it_does(name, seats):
    stage = Stage(seats, name)
    stage.play()
    written = {arn for rows in stage.asked.values() for action, arn in rows if action == "s3:PutObject"}
    assert any("/quarantine/signs/" in arn for arn in written)
    for key in written:
        assert key.startswith("arn:aws:s3:::evidence/replays/") is name.startswith(("rehearsal", "canary")), (
            key
        )
    if not name:
        assert {action for action, _ in stage.asked["advance_diagnosis"]} >= {
            "s3:GetObject", "s3:PutObject", "s3:ListBucket", "sagemaker:CreateModel", "sagemaker:UpdateEndpoint",
            "sagemaker:CreateProcessingJob",
        }  # fmt: skip


class Refusing:
    """A chat that is busy at first, and then knows no channel of that name."""

    def __init__(self, chat):
        self._chat, self._left = chat, 2

    def __getattr__(self, name):
        def refuse(receiver, *_):
            self._left -= 1
            raise DeliveryError(
                receiver,
                "ratelimited" if self._left > 0 else "channel_not_found",
                recoverable=self._left > 0,
                after_seconds=30,
            )

        return refuse


def ask_for_all(seats):
    """What each function asks for in stories that bring every receiver, every kind of refusal, a button and a monitor."""
    stage = Stage(seats, "", ALL_CHANNELS)
    stage.world = replace(
        stage.world, letters=MemoryLetters(), hooks=MemoryHooks(), schedules=MemorySchedules()
    )
    stage.play()
    minute = {"source": "sagewatch", "detail-type": "Tick", "time": NOW.isoformat(), "detail": {}}
    stage.give(tick, minute)
    silent = Stage(seats, "", MONITORS.replace("detectors: {", "detectors: {no-data: {after: 30m}, "))
    silent.give(ingest_capture, put_file(silent.world, draw_clean(10, random.Random(1)), NOW))
    silent.world.now.move(timedelta(hours=1))
    silent.give(tick, minute)
    unheard = Stage(seats, "", ALL_CHANNELS)
    unheard.world = replace(
        unheard.world, chat=Refusing(unheard.world.chat), hooks=MemoryHooks(), letters=MemoryLetters()
    )
    unheard.play()
    for _ in range(3):
        unheard.world.now.move(timedelta(minutes=2))
        unheard.give(tick, {**minute, "time": unheard.world.now().isoformat()})
        unheard.carry()
    desk, pressed = Buttons(), []
    slack_action(desk.event("acknowledge"), guard_desk(desk.desk, seats["slack_action"], pressed))
    slack_action(
        desk.event("acknowledge", secret="another"), guard_desk(desk.desk, seats["slack_action"], pressed)
    )
    started = []
    for captures in (("2026/11/21/11",), ()):
        wake(guard(build_monitored(captures), seats["start_monitor"], started))
    asked = {"slack_action": set(pressed), "start_monitor": set(started)}
    stories = (stage, silent, unheard)
    for name in {name for story in stories for name in story.asked}:
        asked[name] = {one for story in stories for one in story.asked.get(name, ())}
    return asked


@pytest.fixture(scope="module")
def asked(seats):
    return ask_for_all(seats)


@pytest.mark.parametrize("name", ["as it comes", "rehearsal"])
def test_a_resource_that_is_taken_from_a_role_is_missed(name, seats):
    """Though the role's actions are the same: each of the two prefixes of reports is needed."""
    changed = copy.deepcopy(seats)
    (row,) = [
        one for one in list_statements(changed["ingest_capture"].role)
        if one.get("Action") == "s3:PutObject"
    ]  # fmt: skip
    row["Resource"] = [
        one for one in row["Resource"] if ("/replays/" in one["Fn::Sub"]) is (name == "as it comes")
    ]
    with pytest.raises(AssertionError, match=r"s3:PutObject on .*quarantine/signs.*AccessDenied"):
        Stage(changed, NAMES[name]).play()


def test_whoever_counts_captures_writes_nothing_but_what_could_not_be_read(seats):
    for key in ("incidents/i/index.html", "replays/r/incidents/i/index.html", "tensors/x", "index.html"):
        assert not allows(seats["ingest_capture"].role, "s3:PutObject", f"arn:aws:s3:::evidence/{key}")


def test_every_call_of_every_port_is_held_against_a_role():
    """A method that a port gets is a call that this must know; metrics are printed, and Lambda writes what is printed."""
    for kind, calls in CALLS.items():
        assert {name for name in vars(kind) if not name.startswith("_")} == calls.keys(), kind
    protocols = {name for name, one in vars(ports).items() if getattr(one, "_is_protocol", False)}
    fields = {
        name
        for name, field in World.__dataclass_fields__.items()
        if str(field.type).removesuffix(" | None") in protocols
    }
    assert fields - PORTS.keys() == {"metrics", "now", "together"}


def test_mails_may_leave_with_their_identitys_own_configuration_set_from_this_account_alone(seats):
    """An identity with a default configuration set asks for the right to both."""
    for kind in ("identity/alerts@example.com", "configuration-set/tracked"):
        for action in ("ses:SendEmail", "ses:SendRawEmail"):
            assert allows(seats["deliver_alert"].role, action, f"arn:aws:ses:eu-west-1:123456789012:{kind}")
            assert not allows(
                seats["deliver_alert"].role, action, f"arn:aws:ses:eu-west-1:210987654321:{kind}"
            )


UNTOLD = {
    "advance_diagnosis": {"sagemaker:StopProcessingJob"},
    "slack_action": {"ssm:GetParameter"},  # the signing secret of the story is in the other store
    "start_monitor": {"kms:CreateGrant"},
}
"""Rights that no story here comes to; that the code asks for them, test_permissions reads off the source."""


@pytest.mark.parametrize("name", ["ingest_capture", "ingest_report", "manage_incident", "advance_diagnosis", "deliver_alert",
                                  "slack_action", "start_monitor", "tick"])  # fmt: skip
def test_every_right_is_asked_for_and_each_statement_is_missed_where_it_names_another_resource(
    name, seats, asked
):
    lambdas = RUNTIME - {"kms:Decrypt", "kms:GenerateDataKey"} | DRAINING
    unasked = needed_by(name) - lambdas - UNTOLD.get(name, set())
    assert unasked - {action for action, _ in asked[name]} == set()
    for number, statement in enumerate(list_statements(seats[name].role)):
        known = set(listed(statement["Action"])) - lambdas - UNTOLD.get(name, set())
        if not known:
            continue
        changed = copy.deepcopy(seats[name].role)
        list(list_statements(changed))[number]["Resource"] = "arn:of-another"
        refused = [one for one in asked[name] if not allows(changed, *one)]
        assert {action for action, _ in refused} <= set(listed(statement["Action"])), statement["Sid"]
        assert refused, f"{statement['Sid']}: no story asks for it"


def test_a_function_drains_its_own_queue_and_writes_its_own_log_and_no_others(seats, template):
    """What Lambda does with the function's role."""
    rows = template["Resources"]
    sources = {
        resolve(one["Properties"]["FunctionName"]): resolve(one["Properties"]["EventSourceArn"])
        for one in rows.values()
        if one["Type"] == "AWS::Lambda::EventSourceMapping"
    }
    groups = {
        one["Properties"]["LogGroupName"]: id_
        for id_, one in rows.items()
        if one["Type"] == "AWS::Logs::LogGroup"
    }
    ids = {
        one["Properties"].get("Handler"): id_
        for id_, one in rows.items()
        if one["Type"] == "AWS::Lambda::Function"
    }
    arns = [build_arn(id_) for id_ in rows]
    for name, seat in seats.items():
        queue = sources.get(build_arn(ids[seat.function["Handler"]]))
        drained = {arn for arn in arns if all(allows(seat.role, action, arn) for action in DRAINING)}
        assert drained == ({queue} if queue else set()), name
        logged = {
            arn
            for arn in arns
            if allows(seat.role, "logs:PutLogEvents", arn) and allows(seat.role, "logs:CreateLogStream", arn)
        }
        assert logged == {build_arn(groups[f"/aws/lambda/{seat.function['FunctionName']}"])}, name
        assert allows(seat.role, "xray:PutTraceSegments", "*")
        if queue:
            assert allows(seat.role, "kms:Decrypt", OWN)


def test_whoever_answers_from_outside_reads_with_the_key_and_encrypts_nothing(seats):
    assert allows(seats["slack_action"].role, "kms:Decrypt", OWN)
    assert not allows(seats["slack_action"].role, "kms:GenerateDataKey", OWN)


def test_a_hub_reads_its_spokes_captures_and_looks_at_their_jobs_by_their_readers_alone(hub_template):
    hub, world, asked = find_seats(hub_template), build_world(BOTH.replace(THERE.region, "eu-west-1")), []
    event = forward(finish(world, 0, violations=["age"]), IN_SPOKE)
    handle(
        ingest_report,
        event,
        guard(replace(world, elsewhere=Spoke(IN_SPOKE, world.jobs)), hub["ingest_report"], asked),
    )
    ((_, reader),) = [one for one in asked if one[0] == "sts:AssumeRole"]
    assert "role/sagewatch-" in reader
    assert not allows(
        hub["ingest_report"].role, "sts:AssumeRole", reader.replace(IN_SPOKE.account, "444444444444")
    )
    assert not allows(hub["ingest_report"].role, "sts:AssumeRole", reader.replace("-euwest1", "-eunorth1"))
    for name in ("ingest_capture", "ingest_report", "advance_diagnosis", "deliver_alert"):
        assert allows(hub[name].role, "s3:GetObject", "arn:aws:s3:::captures-there/capture/x.jsonl")
        assert not allows(hub[name].role, "s3:PutObject", "arn:aws:s3:::captures-there/capture/x.jsonl")
