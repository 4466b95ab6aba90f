"""Buttons of Slack messages on the packaged stack: signed HTTP in, the bus, two queues, and the message changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from sagewatch.sandbox.demo.stage import set_up
from tests.unit.flows.worlds import build_finding

ROOT = Path(__file__).resolve().parents[2]
SAGEWATCH = str(Path(sys.executable).parent / "sagewatch")
VIEWER = ("U00000002", "vera")
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="osls packages the stack, and needs node"
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The stack on the local AWS, with a Slack that knows where its buttons are answered."""
    with set_up(ROOT, tmp_path_factory.mktemp("buttons"), 0, print) as stage:
        finding = build_finding(endpoint="traffic-signs", raised_at=datetime.now(UTC))  # noqa: TID251 (an edge)
        entry = {
            "Source": "sagewatch",
            "DetailType": "Finding Raised",
            "Detail": msgspec.json.encode(finding).decode(),
            "EventBusName": stage.outputs["EventBus"],
        }
        stage.aws.client("events").put_events(Entries=[entry])
        wait_for(stage.slack.messages)
        yield stage


def wait_for(look, seconds=60):
    """What ``look`` sees once it sees something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.2)
    raise AssertionError("it never came")


def list_buttons(stage):
    blocks = stage.slack.messages()[-1]["blocks"]
    return [b["action_id"] for block in blocks if block["type"] == "actions" for b in block["elements"]]


def list_acknowledgements(stage):
    return [reply["text"] for reply in stage.slack.replies() if "Acknowledged by" in reply["text"]]


def test_who_may_only_look_is_refused_in_private_and_the_message_stays(stage):
    assert stage.slack.click("acknowledge", user=VIEWER).status == 200
    (whisper,) = wait_for(lambda: stage.slack.whispers)
    assert whisper["response_type"] == "ephemeral"
    assert "yours is viewer" in whisper["text"]
    assert "acknowledge" in list_buttons(stage)


def test_what_slack_did_not_sign_is_refused(stage):
    stage.slack.signing_secret, right = "guessed", stage.slack.signing_secret
    try:
        assert stage.slack.click("resolve").status == 401
    finally:
        stage.slack.signing_secret = right
    assert stage.slack.click("resolve", at=time.time() - 400).status == 401  # noqa: TID251 (an edge)


def test_only_the_function_that_was_given_an_address_has_one(stage):
    url = stage.slack.interactivity_url.replace("slack_action", "tick")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method="POST"), timeout=5)
    assert error.value.code == 403


def test_a_double_click_acknowledges_once_in_time_and_the_message_says_by_whom(stage):
    presses = [stage.slack.click("acknowledge"), stage.slack.click("acknowledge")]
    assert all(press.status == 200 and press.in_time for press in presses)
    wait_for(lambda: "acknowledge" not in list_buttons(stage))
    assert "ada (Slack U00000001)" in json.dumps(stage.slack.messages()[-1])
    wait_for(lambda: list_acknowledgements(stage))  # the line in the thread follows the change
    time.sleep(2)
    assert len(list_acknowledgements(stage)) == 1


def test_resolving_ends_it_for_everybody_by_one_change_and_one_mail(stage):
    assert stage.slack.click("resolve").status == 200
    wait_for(lambda: "RESOLVED" in stage.slack.messages()[-1]["text"])
    wait_for(lambda: any("resolved" in path.name for path in stage.inbox.mails()))
    assert list_buttons(stage) == []


def test_a_drill_comes_out_at_the_end_marked_and_says_how_long_each_hop_took(stage):
    done = subprocess.run(
        [SAGEWATCH, "drill", "--json", "--stack", "sagewatch"],
        cwd=ROOT,
        env={**os.environ, **stage.aws.environment},  # noqa: TID251 (an edge)
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    drilled = json.loads(done.stdout)
    assert drilled["missing"] == ""
    times = [hop["after_seconds"] for hop in drilled["hops"]]
    assert times == sorted(times)
    assert len(times) >= 4
    last = stage.slack.messages()[-1]
    assert last["text"].startswith("[REPLAY]")
    assert "RESOLVED" in last["text"]


def test_a_canary_goes_the_whole_way_is_counted_and_told_to_nobody(stage):
    """Fired once by its own schedule as it was deployed: tick, the bus, both queues, and the metric that the alarm misses."""
    messages, mails = len(stage.slack.messages()), len(stage.inbox.mails())
    (name,) = [
        one["Name"]
        for one in stage.aws.client("scheduler").list_schedules()["Schedules"]
        if one["Name"].endswith("-canary")
    ]
    stage.aws.worker.fire(name)
    alarm = stage.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]

    def count():
        now = datetime.now(UTC)  # noqa: TID251 (an edge)
        found = stage.aws.client("cloudwatch").get_metric_statistics(
            Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=alarm["Dimensions"],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1), Period=60, Statistics=["Sum"],
        )  # fmt: skip
        return sum(point["Sum"] for point in found["Datapoints"])

    assert wait_for(count) == 1
    assert (len(stage.slack.messages()), len(stage.inbox.mails())) == (messages, mails)
