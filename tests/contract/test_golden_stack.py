"""The compiled stack is the one that was read and kept: every change of it shows as lines of a diff."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path

import pytest

from layers.summarize_stack import summarize_stack

GOLDEN = Path(__file__).parent / "golden" / "stack.txt"


def summarize(template):
    """The summary; a parallel worker's stage has a name of its own."""
    return re.sub(r"contractgw\d+", "contract", summarize_stack(template))


def test_the_stack_is_the_one_that_was_read_and_kept(template):
    text = summarize(template)
    if os.environ.get("UPDATE_GOLDEN"):  # noqa: TID251 - a switch of the tests, not of the product
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        "UPDATE_GOLDEN=1 pytest tests/contract/test_golden_stack.py, then read the diff"
    )


@pytest.mark.parametrize(
    ("logical_id", "change"),
    [
        ("CaptureRule", lambda rule: rule["EventPattern"].update(source=["aws.ec2"])),
        ("CaptureQueue", lambda queue: queue["RedrivePolicy"].update(maxReceiveCount=1)),
        ("HeartbeatAlarm", lambda alarm: alarm.update(Threshold=2)),
        ("TickLambdaFunction", lambda function: function.update(Timeout=3)),
        ("StateTable", lambda table: table["PointInTimeRecoverySpecification"].update(PointInTimeRecoveryEnabled=False)),
        ("TickRole", lambda role: role["Policies"][0]["PolicyDocument"]["Statement"][0].update(Resource="*")),
        ("AlertsAtRiskAlarm", lambda alarm: alarm["AlarmRule"]["Fn::Join"][1].pop()),
    ],
)  # fmt: skip
def test_no_change_that_matters_hides_from_the_summary(template, logical_id, change):
    changed = copy.deepcopy(template)
    change(changed["Resources"][logical_id]["Properties"])
    assert summarize(changed) != summarize(template)


def test_every_type_of_resource_is_more_than_a_name_in_the_summary(template):
    """What is neither shown in a section nor known to hold nothing that matters is a hole in the golden file."""
    source = (Path(__file__).parents[2] / "layers" / "summarize_stack.py").read_text()
    only_named = {"AWS::Lambda::LayerVersion", "AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition",
                  "AWS::Events::EventBus", "AWS::Scheduler::ScheduleGroup", "AWS::SNS::Subscription"}  # fmt: skip
    types = {resource["Type"] for resource in template["Resources"].values()}
    assert {kind for kind in types - only_named if f'"{kind}"' not in source} == set()


def test_the_cost_estimate_counts_the_stacks_alarms_queues_and_concurrency(of_type):
    from sagewatch.cli.cost_model import ALARMS, QUEUES

    mappings = of_type("AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == QUEUES
    assert len(of_type("AWS::CloudWatch::Alarm")) == ALARMS
    assert sum(row["ScalingConfig"]["MaximumConcurrency"] for row in mappings) == 28
