"""Hub and spoke fit together: what a spoke forwards the hub hears, and nothing else gets in or is let do."""

from __future__ import annotations

import fnmatch
import json
import subprocess
from pathlib import Path

import pytest
from cfnlint.decode import decode

from layers.stack_parameters import LONGEST_STAGE
from sagewatch.aws.elsewhere import name_reader
from sagewatch.place import Place
from sagewatch.replay.rules import matches

ROOT = Path(__file__).resolve().parents[2]
HUB, THERE, BUCKET = "123456789012", Place("210987654321", "eu-west-1"), "captures-there"
STACK = "sagewatch-contracthub"
HUB_REGION = "us-east-2"
READER = f"{STACK}-{HUB}useast2"

IN_HUB = {"AWS::Partition": "aws", "AWS::AccountId": HUB, "AWS::Region": HUB_REGION}


@pytest.fixture(scope="module")
def hub(hub_template):
    """The resources of a stack that is told of two spokes."""
    return hub_template["Resources"]


@pytest.fixture(scope="module")
def spoke():
    """The spoke's template, its parameters filled in."""
    template, errors = decode(str(ROOT / "deploy" / "spoke.yml"))
    assert not errors
    values = {
        "AWS::AccountId": THERE.account, "AWS::Region": THERE.region, "AWS::Partition": "aws", "HubAccount": HUB,
        "HubBusArn": f"arn:aws:events:{HUB_REGION}:{HUB}:event-bus/sagewatch-spokes", "HubStack": STACK, "CaptureBucket": BUCKET, "CapturePrefix": "capture",
    }  # fmt: skip
    return fill(json.loads(json.dumps(template))["Resources"], values)


def fill(value, names):
    """References and substitutions of what is named, done."""
    if isinstance(value, list):
        return [fill(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in names:
        return names[value["Ref"]]
    if set(value) == {"Fn::Sub"}:
        text, own = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        for name, to in {**names, **fill(own, names)}.items():
            text = text.replace(f"${{{name}}}", to)
        return text
    if set(value) == {"Fn::Split"}:
        mark, text = fill(value["Fn::Split"], names)
        return text.split(mark)
    if set(value) == {"Fn::Select"}:
        place, rows = fill(value["Fn::Select"], names)
        return rows[int(place)]
    if set(value) == {"Fn::Join"}:
        mark, rows = fill(value["Fn::Join"], names)
        return mark.join(rows)
    return {key: fill(inner, names) for key, inner in value.items()}


def build_capture(bucket=BUCKET, account=THERE.account, key="capture/signs/AllTraffic/2026/11/22/04/x.jsonl"):
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": 5, "etag": "x"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "account": account, "region": THERE.region,
            "time": "2026-11-22T04:00:00Z", "detail": detail}  # fmt: skip


def build_job(status="Completed", account=THERE.account):
    detail = {"ProcessingJobName": "j", "ProcessingJobArn": "a", "ProcessingJobStatus": status}
    return {"source": "aws.sagemaker", "detail-type": "SageMaker Processing Job State Change", "account": account,
            "region": THERE.region, "time": "2026-11-22T04:00:00Z", "detail": detail}  # fmt: skip


def heard_by(resources, event):
    """Rules of a template that an event wakes."""
    rules = {name: row["Properties"] for name, row in resources.items() if row["Type"] == "AWS::Events::Rule"}
    return {name for name, rule in rules.items() if matches(rule["EventPattern"], event)}


def of_bus(hub):
    """What hears the spokes' bus."""
    return {
        name: row
        for name, row in hub.items()
        if row["Type"] == "AWS::Events::Rule" and row["Properties"].get("EventBusName") == {"Ref": "SpokeBus"}
    }


@pytest.mark.parametrize(
    ("event", "there", "here"),
    [(build_capture(), "CaptureRule", "SpokeCaptureRule"), (build_job(), "JobRule", "SpokeJobRule")],
)
def test_what_a_spoke_forwards_the_hub_hears(event, there, here, spoke, hub):
    assert heard_by(spoke, event) == {there}
    assert heard_by(of_bus(hub), event) == {here}


@pytest.mark.parametrize(
    "event",
    [
        build_capture(account="999999999999"),
        build_capture(bucket="of-somebody-else"),
        build_capture(key="elsewhere/x.jsonl"),
        build_job(account="999999999999"),
        build_job("InProgress"),
        {"source": "sagewatch", "detail-type": "Finding Raised", "account": THERE.account, "detail": {}},
        {"source": "sagewatch", "detail-type": "Action Requested", "account": THERE.account, "detail": {"action": "restore"}},
    ],
)  # fmt: skip
def test_nothing_else_that_a_spoke_may_put_on_its_bus_is_heard(event, hub):
    assert heard_by(of_bus(hub), event) == set()


def test_only_the_listed_accounts_may_put_events_on_that_bus_and_on_no_other(hub):
    policies = [row["Properties"] for row in hub.values() if row["Type"] == "AWS::Events::EventBusPolicy"]
    (policy,) = policies
    assert policy["EventBusName"] == {"Ref": "SpokeBus"}
    accounts = [arn["Fn::Sub"].split(":")[-2] for arn in policy["Statement"]["Principal"]["AWS"]]
    assert accounts == ["210987654321", "333333333333"]


def test_every_rule_of_the_bus_reaches_a_queue_that_lets_it_in(hub):
    for name, rule in of_bus(hub).items():
        (target,) = rule["Properties"]["Targets"]
        queue = target["Arn"]["Fn::GetAtt"][0]
        (policy,) = [
            row["Properties"]
            for row in hub.values()
            if row["Type"] == "AWS::SQS::QueuePolicy" and {"Ref": queue} in row["Properties"]["Queues"]
        ]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert {"Fn::GetAtt": [name, "Arn"]} in statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert {"Fn::GetAtt": [target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0], "Arn"]} in statement[
            "Resource"
        ]


def statements_of(hub, role):
    return [
        statement
        for row in hub.values()
        if row["Type"] == "AWS::IAM::ManagedPolicy" and {"Ref": role} in row["Properties"]["Roles"]
        for statement in row["Properties"]["PolicyDocument"]["Statement"]
    ]


def test_the_hub_may_read_the_spokes_captures_and_look_at_their_jobs_and_nothing_more(hub):
    actions = {
        role: sorted(row["Action"] for row in statements_of(hub, role) if row["Sid"] != "SwapListedEndpoints")
        for role, row in hub.items()
        if row["Type"] == "AWS::IAM::Role"
    }
    reads = ["kms:Decrypt", "s3:GetObject", "s3:ListBucket"]
    readers = ("IngestCaptureRole", "AdvanceDiagnosisRole", "DeliverAlertRole")
    assert {role: given for role, given in actions.items() if given} == {
        **dict.fromkeys(readers, reads),
        "IngestReportRole": sorted([*reads, "sts:AssumeRole"]),
    }
    resources = [
        fill(one, IN_HUB) for row in statements_of(hub, "IngestReportRole") for one in row["Resource"]
    ]
    assert all(one.rsplit(":", 1)[1] not in {"*", "role/*"} for one in resources)


def test_the_role_that_the_hub_assumes_is_the_one_that_the_spoke_makes(hub, spoke):
    (assume,) = [row for row in statements_of(hub, "IngestReportRole") if row["Action"] == "sts:AssumeRole"]
    allowed = fill(assume["Resource"], IN_HUB)
    reader = spoke["ReaderRole"]["Properties"]
    assert name_reader(THERE, "aws", READER) == f"arn:aws:iam::{THERE.account}:role/{reader['RoleName']}"
    assert name_reader(THERE, "aws", READER) in allowed
    (trust,) = reader["AssumeRolePolicyDocument"]["Statement"]
    made = f"arn:aws:iam::{HUB}:role/{STACK}-IngestReportRole-1A2B3C"
    assert fnmatch.fnmatchcase(made, trust["Condition"]["ArnLike"]["aws:PrincipalArn"])
    other = f"arn:aws:iam::{HUB}:role/{STACK}-SlackActionRole-1A2B3C"
    assert not fnmatch.fnmatchcase(other, trust["Condition"]["ArnLike"]["aws:PrincipalArn"])


def test_the_function_that_assumes_it_is_told_its_name(hub):
    variables = hub["IngestUnderscorereportLambdaFunction"]["Properties"]["Environment"]["Variables"]
    assert fill(variables["SPOKE_READER"], IN_HUB) == READER


def read_spoke():
    template, _ = decode(str(ROOT / "deploy" / "spoke.yml"))
    return json.loads(json.dumps(template))["Resources"]


def name_reader_of(stack, region, *, hub_region, account=HUB):
    """The role's name in a spoke, as CloudFormation would fill it in."""
    bus = f"arn:aws:events:{hub_region}:{account}:event-bus/sagewatch-spokes"
    names = {"HubStack": stack, "HubAccount": account, "HubBusArn": bus, "AWS::Region": region}
    return fill(read_spoke()["ReaderRole"]["Properties"]["RoleName"], names)


def test_spokes_of_one_account_and_region_stand_side_by_side(spoke):
    """The one name that is given says which hub it is for; the second bucket of a hub makes no second reader."""
    named = {
        (logical_id, key)
        for logical_id, row in read_spoke().items()
        for key in ("RoleName", "QueueName", "Name", "AlarmName")
        if key in row["Properties"]
    }
    assert named == {("ReaderRole", "RoleName")}
    assert {spoke[one].get("Condition") for one in ("ReaderRole", "JobRule")} == {"ForwardsJobs"}
    hubs = [("sagewatch-prod", "eu-west-1", HUB), ("sagewatch-prod", "us-east-1", HUB),
            ("sagewatch-dev", "eu-west-1", HUB), ("sagewatch-prod", "eu-west-1", "999999999999")]  # fmt: skip
    names = {
        name_reader_of(stack, region, hub_region=hub_region, account=account)
        for stack, hub_region, account in hubs
        for region in ("eu-west-1", "us-east-1")
    }
    assert len(names) == 2 * len(hubs)


def test_the_longest_readers_name_is_one_that_iam_takes():
    longest = "ap-southeast-1"
    assert len(name_reader_of(f"sagewatch-{'a' * LONGEST_STAGE}", longest, hub_region=longest)) <= 64


def test_a_spoke_lets_the_hub_change_nothing(spoke):
    granted = set()
    for row in spoke.values():
        documents = [policy["PolicyDocument"] for policy in row["Properties"].get("Policies", [])]
        if "PolicyDocument" in row["Properties"]:
            documents.append(row["Properties"]["PolicyDocument"])
        for document in documents:
            for statement in document["Statement"]:
                actions = statement["Action"]
                if statement["Effect"] == "Allow":
                    granted |= {actions} if isinstance(actions, str) else set(actions)
    assert granted == {
        "events:PutEvents",
        "s3:GetObject",
        "s3:ListBucket",
        "sagemaker:DescribeProcessingJob",
        "sqs:SendMessage",
    }


@pytest.mark.parametrize(
    "given", ["210987654321", "1/eu-west-1/b", "210987654321/eu-west-1/B_ucket", "210987654321/europe/bucket"]
)
def test_a_spoke_that_is_none_is_refused_with_its_form(given):
    script = (
        f"require('./resources/spokes.js').resources({{resolveVariable: async () => {json.dumps(given)}}})"
        ".catch((error) => { console.error(error.message); process.exit(3); })"
    )
    done = subprocess.run(["node", "-e", script], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.strip() == (
        f"spokes: {given} is not ACCOUNT/REGION/BUCKET or ACCOUNT/REGION/BUCKET/KMS-KEY-ID"
    )


def test_more_spokes_than_a_rule_can_name_are_refused_with_how_many_and_why():
    given = ",".join(
        f"2109876543{n}/eu-west-1/captures-of-the-team-number-{n}-2109876543{n}" for n in range(10, 51)
    )
    script = (
        "require('./resources/spokes.js').resources({resolveVariable: async (name) => "
        f"name === 'param:spokes' ? {json.dumps(given)} : 'capture'}}).catch((error) => console.log(error.message))"
    )
    done = subprocess.run(["node", "-e", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("spokes: 41 are too many for one hub: SpokeCaptureRule becomes 26")
    assert "second hub" in done.stdout


def test_a_stack_without_spokes_has_nothing_of_them(template):
    assert not [name for name in template["Resources"] if "Spoke" in name]
    assert "SpokeBusArn" not in template["Outputs"]
