"""What each flow reads and writes, as it comes, in a live replay and in a rehearsal, is what its role allows: by resource."""

from __future__ import annotations

import copy
import random
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.rehearsal import build_replay_name, choose_world
from tests.contract.access import CALLS, allows, guard
from tests.unit.flows.captures import draw_attacked, draw_clean, put_file, put_files
from tests.unit.flows.test_ingest_report import finish
from tests.unit.flows.test_start_monitor import build as build_monitored
from tests.unit.flows.test_start_monitor import wake
from tests.unit.flows.worlds import LISTENERS, MONITORS, NOW, build_world, record_and_settle

WITH_TEST = MONITORS.replace(
    "receivers:",
    "routes: {receiver: ml-on-call}\nreceivers:\n  test: {slack: {channel: '#test', token: 'secret:sagewatch/t'}}",
)
NAMES = {
    "as it comes": "",
    "live replay": build_replay_name(NOW, live=True),
    "rehearsal": build_replay_name(NOW, live=False),
    "canary": "canary.20261121T120000Z",
}


@pytest.fixture(scope="module")
def role_of(of_type):
    """Role of a function, by the function's name."""
    roles = of_type("AWS::IAM::Role")
    return {
        row["Handler"].split("/")[1]: roles[row["Role"]["Fn::GetAtt"][0]]
        for row in of_type("AWS::Lambda::Function").values()
    }


class Stage:
    """An attack's captures with a line that nobody can read, a report with violations, and all that follows."""

    def __init__(self, roles, name):
        self.roles, self.name = roles, name
        self.world, self.asked, self.done = build_world(WITH_TEST), {}, 0

    def give(self, flow, event):
        envelope = {**event, "replay-name": self.name} if self.name and "replay-name" not in event else event
        seen = self.asked.setdefault(flow.__name__, [])
        handle(flow, envelope, choose_world(guard(self.world, self.roles[flow.__name__], seen), envelope))

    def carry(self):
        events = self.world.bus.events
        while self.done < len(events):
            event = events[self.done]
            self.done += 1
            for flow in LISTENERS.get(event["detail-type"], ()):
                # Facts that follow carry their mark themselves.
                seen = self.asked.setdefault(flow.__name__, [])
                world = guard(self.world, self.roles[flow.__name__], seen)
                handle(flow, event, choose_world(world, event))

    def play(self):
        rng = random.Random(1)
        self.give(ingest_capture, put_file(self.world, draw_clean(10, rng), NOW, number=900, spoil=(3,)))
        for event in put_files(self.world, draw_clean(300, rng) + draw_attacked(60, rng), NOW):
            self.give(ingest_capture, event)
        self.give(ingest_report, finish(self.world, 1, violations=("speed",), rows=100))
        self.carry()
        if not self.name:
            role, seen = self.roles["advance_diagnosis"], self.asked["advance_diagnosis"]
            record_and_settle(guard(self.world, role, seen))
        for _ in range(5):
            self.world.now.move(timedelta(minutes=1))
            self.carry()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_role_lets_its_flow_read_and_write_all_that_it_does(name, role_of):
    stage = Stage(role_of, name)
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


def test_the_role_that_starts_monitors_reaches_captures_baselines_and_its_own_job(role_of):
    asked = []
    wake(guard(build_monitored(), role_of["start_monitor"], asked))
    assert {"s3:ListBucket", "sagemaker:DescribeEndpoint", "sagemaker:CreateProcessingJob"} <= {
        a for a, _ in asked
    }


@pytest.mark.parametrize("name", ["as it comes", "rehearsal"])
def test_a_resource_that_is_taken_from_a_role_is_missed(name, role_of):
    """Though the role's actions are the same: each of the two prefixes of reports is needed."""
    roles = copy.deepcopy(role_of)
    (row,) = [
        one for one in roles["ingest_capture"]["Policies"][0]["PolicyDocument"]["Statement"]
        if one.get("Action") == "s3:PutObject"
    ]  # fmt: skip
    row["Resource"] = [
        one for one in row["Resource"] if ("/replays/" in one["Fn::Sub"]) is (name == "as it comes")
    ]
    with pytest.raises(AssertionError, match=r"s3:PutObject on .*quarantine/signs.*AccessDenied"):
        Stage(roles, NAMES[name]).play()


def test_whoever_counts_captures_writes_nothing_but_what_could_not_be_read(role_of):
    for key in ("incidents/i/index.html", "replays/r/incidents/i/index.html", "tensors/x", "index.html"):
        assert not allows(role_of["ingest_capture"], "s3:PutObject", f"arn:aws:s3:::evidence/{key}")


def test_every_call_to_objects_endpoints_and_jobs_is_held_against_a_role():
    """A method that a port gets is a call that this must know; tags are of whatever endpoint it is."""
    from sagewatch.ports import Hosting, Jobs, Objects

    methods = {name for port in (Objects, Hosting, Jobs) for name in vars(port) if not name.startswith("_")}
    assert methods - CALLS.keys() == {"list_tags"}


def test_mails_may_leave_with_their_identitys_own_configuration_set_from_this_account_alone(role_of):
    """An identity with a default configuration set asks for the right to both."""
    for kind in ("identity/alerts@example.com", "configuration-set/tracked"):
        for action in ("ses:SendEmail", "ses:SendRawEmail"):
            assert allows(role_of["deliver_alert"], action, f"arn:aws:ses:eu-west-1:123456789012:{kind}")
            assert not allows(role_of["deliver_alert"], action, f"arn:aws:ses:eu-west-1:210987654321:{kind}")
