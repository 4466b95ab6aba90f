"""The compiled stack is the one that was read and kept: every change of it shows as lines of a diff."""

from __future__ import annotations

import copy
import difflib
import json
import os
import re
from pathlib import Path

import pytest

from deploy.recording import find_movable
from deploy.stack import compare
from layers.diff_stack import list_properties
from layers.summarize_stack import summarize_stack

GOLDEN = Path(__file__).parent / "golden" / "stack.txt"
HUB = GOLDEN.with_name("hub.txt")
PROPERTIES = GOLDEN.with_name("properties.txt")


def summarize(template):
    """The summary; a parallel worker's stage has a name of its own."""
    return re.sub(r"contractgw\d+", "contract", summarize_stack(template))


def hold(text, golden):
    if os.environ.get("UPDATE_GOLDEN"):  # noqa: TID251 - a switch of the tests, not of the product
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), (
        "UPDATE_GOLDEN=1 pytest tests/contract/test_golden_stack.py, then read the diff"
    )


def test_the_stack_is_the_one_that_was_read_and_kept(template):
    hold(summarize(template), GOLDEN)


def test_what_the_summary_leaves_out_is_what_was_read_and_kept_too(template):
    """Every property of every resource, parameter, condition and output, by itself or in its owner's digest."""
    named = json.loads(re.sub(r"contractgw\d+", "contract", json.dumps(template)))
    hold("".join(f"{line}\n" for line in list_properties(named)), PROPERTIES)


def test_a_hub_that_swaps_many_endpoints_has_beside_it_what_was_read_and_kept(template, hub_template):
    """As lines that go and come, which are what `make deploy DRY_RUN=1` prints."""
    before, after = (
        summarize(one).replace("contracthub", "contract").splitlines() for one in (template, hub_template)
    )
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    hold("".join(f"{line}\n" for line in lines if not line.startswith(("---", "+++", "@@"))), HUB)


@pytest.mark.parametrize(
    ("logical_id", "change"),
    [
        ("CaptureRule", lambda rule: rule["EventPattern"].update(source=["aws.ec2"])),
        ("CaptureQueue", lambda queue: queue["RedrivePolicy"].update(maxReceiveCount=1)),
        ("HeartbeatAlarm", lambda alarm: alarm.update(Threshold=2)),
        ("TickLambdaFunction", lambda function: function.update(Timeout=3)),
        ("StateTable", lambda table: table["PointInTimeRecoverySpecification"].update(PointInTimeRecoveryEnabled=False)),
        ("TickRole", lambda role: role["Policies"][0]["PolicyDocument"]["Statement"][0].update(Resource="*")),
        ("SwapMorePolicy1", lambda policy: policy["PolicyDocument"]["Statement"][0]["Resource"].pop()),
        ("SpokeJobsPolicy", lambda policy: policy["Roles"].append({"Ref": "TickRole"})),
        ("AlertsAtRiskAlarm", lambda alarm: alarm["AlarmRule"]["Fn::Join"][1].pop()),
    ],
)  # fmt: skip
def test_no_change_that_matters_hides_from_the_summary(hub_template, logical_id, change):
    changed = copy.deepcopy(hub_template)
    change(changed["Resources"][logical_id]["Properties"])
    assert summarize(changed) != summarize(hub_template)


def test_a_right_that_is_granted_or_taken_beside_the_role_is_told_before_a_deployment(hub_template):
    """The 21st endpoint's right stands in no role but in a policy attached to it: it is no change of code alone."""
    less = copy.deepcopy(hub_template)
    (swap,) = less["Resources"]["SwapMorePolicy1"]["Properties"]["PolicyDocument"]["Statement"]
    (last,) = [arn for arn in swap["Resource"] if arn["Fn::Sub"].endswith("endpoint/fraud-detector-19")]
    swap["Resource"].remove(last)
    arn = "    on arn:*:sagemaker:here:endpoint/fraud-detector-19"
    assert f"+{arn}" in compare(less, hub_template).splitlines()
    assert f"-{arn}" in compare(hub_template, less).splitlines()
    assert find_movable(hub_template) - find_movable(less) == {"fraud-detector-19"}


def test_every_type_of_resource_is_more_than_a_name_in_the_summary(hub_template):
    """What is neither shown in a section nor known to hold nothing that matters is a hole in the golden file."""
    source = (Path(__file__).parents[2] / "layers" / "summarize_stack.py").read_text()
    only_named = {"AWS::Lambda::LayerVersion", "AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition",
                  "AWS::Events::EventBus", "AWS::Scheduler::ScheduleGroup", "AWS::SNS::Subscription"}  # fmt: skip
    types = {resource["Type"] for resource in hub_template["Resources"].values()}
    assert {kind for kind in types - only_named if f'"{kind}"' not in source} == set()


def test_the_cost_estimate_counts_the_stacks_alarms_queues_and_concurrency(of_type):
    from sagewatch.cli.cost_model import ALARMS, QUEUES

    mappings = of_type("AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == QUEUES
    assert len(of_type("AWS::CloudWatch::Alarm")) == ALARMS
    assert sum(row["ScalingConfig"]["MaximumConcurrency"] for row in mappings) == 28
