"""Each function's role allows what its flow reaches, and not one action more."""

from __future__ import annotations

import copy
import fnmatch
from pathlib import Path

import pytest

from deploy.permissions import REASONS, build_page, list_sids
from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.flows.evidence import CLASSES, CONFIGS, INDEX_KEY
from tests.contract.calls import derive_actions

FUNCTIONS = (
    "ingest_capture",
    "ingest_report",
    "manage_incident",
    "advance_diagnosis",
    "deliver_alert",
    "slack_action",
    "start_monitor",
    "tick",
)
STARTS_JOBS = {"advance_diagnosis", "start_monitor"}
CHANGES_ENDPOINTS = {"UpdateEndpoint", "CreateEndpointConfig", "CreateModel", "CreateProcessingJob"}
# What Lambda does for a function, and reading what a given key encrypted.
DRAINING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
RUNTIME = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "kms:Decrypt", "kms:GenerateDataKey",
}  # fmt: skip
# What creating something with tags or a role asks for beside the call itself.
BESIDE_CREATING = {"sagemaker:AddTags", "iam:PassRole"}
# Only where whoever deploys gives one, and the same for every role.
BOUNDARY = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
# What UpdateEndpoint asks for in its caller's name: docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html
# (volumes with a key) and .../deployment-guardrails-configuration.html (alarms that roll back).
BESIDE_SWAPPING = {"kms:CreateGrant", "cloudwatch:DescribeAlarms"}


def statements_of(role):
    """A role's statements; both sides of a condition count."""
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for branch in statement["Fn::If"][1:] if "Fn::If" in statement else [statement]:
                if "Effect" in branch:
                    yield branch


def list_actions(statement):
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def allowed_by(role):
    """Actions of the role's own policy: one that has more, or is held in by a boundary of its own, is read nowhere here."""
    assert "ManagedPolicyArns" not in role, "a policy of which this test knows nothing"
    assert role["PermissionsBoundary"] == BOUNDARY, "a policy of which this test knows nothing"
    return {a for s in statements_of(role) if s["Effect"] == "Allow" for a in list_actions(s)}


@pytest.fixture(scope="module")
def role_of(of_type):
    """Role of a function, by the function's name."""
    roles = of_type("AWS::IAM::Role")
    return {
        properties["Handler"].split("/")[1]: roles[properties["Role"]["Fn::GetAtt"][0]]
        for properties in of_type("AWS::Lambda::Function").values()
    }


def needed_by(name):
    """All that the function's flow comes down to, and what Lambda does for the function."""
    if name == "slack_action":
        # Slack calls it itself: it drains no queue, and keeps nothing that a key would encrypt.
        return derive_actions(name) | RUNTIME - {"kms:GenerateDataKey"}
    beside = set(DRAINING)
    if name in STARTS_JOBS:
        # Of a job's volumes with a key: its caller's right, as of an endpoint's.
        beside |= BESIDE_CREATING | {"kms:CreateGrant"}
    if "sagemaker:UpdateEndpoint" in derive_actions(name):
        beside |= BESIDE_SWAPPING
    return derive_actions(name) | RUNTIME | beside


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_allows_what_the_flow_reaches_and_no_more(name, role_of):
    assert allowed_by(role_of[name]) == needed_by(name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_single_action_taken_from_a_role_or_given_to_it_is_noticed(name, role_of):
    """The test above can fail: every action of every statement is taken away in turn, and one is added to each."""
    changed = 0
    for policy, original in enumerate(role_of[name]["Policies"]):
        for number in range(len(original["PolicyDocument"]["Statement"])):
            for action in [*sorted(allowed_by(role_of[name])), "s3:DeleteObject"]:
                role = copy.deepcopy(role_of[name])
                statements = role["Policies"][policy]["PolicyDocument"]["Statement"]
                row = statements[number]
                row = row["Fn::If"][1] if "Fn::If" in row else row
                has = list_actions(row)
                row["Action"] = [one for one in has if one != action] if action in has else [*has, action]
                granted_elsewhere = sum(action in list_actions(one) for one in statements_of(role)) > (
                    action not in has
                )
                if granted_elsewhere or row["Effect"] != "Allow":
                    continue  # the role as a whole still allows what it did
                changed += 1
                assert allowed_by(role) != needed_by(name), (action, row)
    assert changed >= len(RUNTIME)


@pytest.mark.parametrize("more", [{"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
                                  {"PermissionsBoundary": "arn:aws:iam::123456789012:policy/b"}])  # fmt: skip
def test_a_policy_of_others_on_a_role_is_noticed(more, role_of):
    with pytest.raises(AssertionError, match="knows nothing"):
        allowed_by({**role_of["tick"], **more})


def test_nothing_but_what_is_read_here_gives_roles_more(template, hub_template):
    """Policies that hang on a role from outside: the spokes' and those of swaps past a role's own room, no other."""
    outside = {"AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy", "AWS::IAM::UserPolicy",
               "AWS::IAM::GroupPolicy", "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::AccessKey"}  # fmt: skip

    def list_outside(one):
        return {(name, row["Type"]) for name, row in one["Resources"].items() if row["Type"] in outside}

    assert list_outside(template) == set()
    managed = {"SpokeCapturesPolicy", "SpokeJobsPolicy", "SwapMorePolicy1"}
    assert list_outside(hub_template) == {(name, "AWS::IAM::ManagedPolicy") for name in managed}
    for one in (template, hub_template):
        for row in one["Resources"].values():
            if row["Type"] == "AWS::IAM::Role":
                allowed_by(row["Properties"])


def test_reading_the_source_finds_what_a_person_finds():
    assert derive_actions("tick") >= {"dynamodb:GetItem", "events:PutEvents"}
    assert "sagemaker:UpdateEndpoint" in derive_actions("advance_diagnosis")
    assert not {action for action in derive_actions("ingest_capture") if action.startswith("sagemaker")}


def test_only_advance_diagnosis_may_change_endpoints(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        may = {action.split(":")[1] for action in allowed_by(role) if action.startswith("sagemaker:")}
        changes = {action for action in may if not action.startswith(("Describe", "List"))}
        if name == "StartMonitorRole":
            # It starts jobs, and those under its own name alone.
            assert changes == {"CreateProcessingJob", "AddTags"}
            continue
        assert name == "AdvanceDiagnosisRole" or not changes
        if name == "AdvanceDiagnosisRole":
            assert may > CHANGES_ENDPOINTS


def test_a_swap_reaches_only_endpoints_that_monitors_lists_in_either_spelling(role_of):
    statements = statements_of(role_of["advance_diagnosis"])
    (swap,) = [s for s in statements if s["Action"] == "sagemaker:UpdateEndpoint"]
    endpoints = {arn["Fn::Sub"].rsplit(":", 1)[1] for arn in swap["Resource"]}
    assert endpoints == {"endpoint/Traffic-Signs", "endpoint/traffic-signs", "endpoint-config/*"}


def test_a_key_is_granted_to_sagemaker_alone_and_for_its_own_resources(role_of):
    (grant,) = [s for s in statements_of(role_of["advance_diagnosis"]) if s["Action"] == "kms:CreateGrant"]
    assert grant["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": True}
    services = grant["Condition"]["StringEquals"]["kms:ViaService"]
    assert all(one["Fn::Sub"].startswith("sagemaker.${AWS::Region}.") for one in services)


def test_what_runs_a_model_or_a_job_writes_no_page_and_no_manifest(of_type):
    """A model's container may do what its role may: forge an incident's evidence it may not."""
    written = [
        arn["Fn::Sub"].partition("${EvidenceBucket.Arn}/")[2]
        for statement in statements_of(of_type("AWS::IAM::Role")["SageMakerRole"])
        if "s3:PutObject" in list_actions(statement)
        for arn in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        if isinstance(arn["Fn::Sub"], str)
    ]

    def may_write(key):
        return any(fnmatch.fnmatchcase(key, pattern) for pattern in written)

    incident = "20261121T203405Z-d70a35fb2065c43a"
    for name in (
        "index.html",
        "manifest.json",
        "findings.json",
        "captures.jsonl",
        "requests.json",
        CONFIGS,
        CLASSES,
    ):
        assert not may_write(f"incidents/{incident}/{name}")
    assert not may_write(INDEX_KEY)
    assert may_write(f"{build_explain_prefix(incident)}explanations.json")
    assert may_write(f"tensors/{incident}/w/index/000000000/000000000000_worker_0.json")
    assert may_write("reports/churn/2026/11/21/20/constraint_violations.json")


def test_what_may_be_deleted_is_named_as_ours(role_of):
    for statement in statements_of(role_of["advance_diagnosis"]):
        if any(action.startswith("sagemaker:Delete") for action in list_actions(statement)):
            assert all("/sagewatch-" in arn["Fn::Sub"] for arn in statement["Resource"])


def test_no_statement_allows_all_actions_or_all_resources(of_type):
    without_resources = {
        "xray:PutTraceSegments", "xray:PutTelemetryRecords", "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken",
        "sagemaker:ListMonitoringExecutions", "sagemaker:ListMonitoringSchedules", "cloudwatch:DescribeAlarms",
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
    }  # fmt: skip
    for role in of_type("AWS::IAM::Role").values():
        assert not [action for action in allowed_by(role) if "*" in action]
        for statement in statements_of(role):
            if statement["Resource"] == "*" and statement["Effect"] == "Allow":
                assert set(list_actions(statement)) <= without_resources


def test_whoever_writes_pages_may_read_what_whoever_judges_reports_may(role_of):
    """A report that opened an incident is shown on its page: a right too few would end the alert as a dead letter."""

    def reads(name):
        return [
            s for s in statements_of(role_of[name]) if s["Sid"] in {"ReadReports", "SeeWhetherThereIsAReport"}
        ]

    assert len(reads("ingest_report")) == 2
    assert reads("deliver_alert") == reads("advance_diagnosis") == reads("ingest_report")


def test_whoever_reads_captures_may_use_the_key_of_their_bucket(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        reads = any(
            "s3:GetObject" in list_actions(one) and "${Bucket}/" in str(one["Resource"])
            for one in statements_of(role)
        )
        key = [one for one in statements_of(role) if one["Sid"] == "UseTheCapturesKey"]
        assert [one["Resource"] for one in key] == ([{"Ref": "CaptureKmsKeyArn"}] if reads else []), name


def test_the_page_of_permissions_is_what_the_template_says_with_a_reason_for_each_line(template):
    page = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()
    assert page == build_page(template), (
        "python -m deploy.permissions .build/contract/package > docs/permissions.md"
    )
    assert list_sids(template) - set(REASONS) == set()


def test_the_page_of_a_hub_has_what_hangs_on_a_role_beside_its_own_policy(template, hub_template):
    assert list_sids(hub_template) - set(REASONS) == set()
    more = list_sids(hub_template) - list_sids(template)
    assert more == {"ReadSpokes", "MissInSpokes", "UseSpokesKeys", "LookAtSpokesJobs"}
    sections = {part.split("\n")[0]: part for part in build_page(hub_template).split("\n## ")}
    assert sections["AdvanceDiagnosisRole"].count("`sagemaker:UpdateEndpoint`") == 2
    assert "captures-there/*" in sections["IngestCaptureRole"]
    assert "sts:AssumeRole" in sections["IngestReportRole"]
    assert "sts:AssumeRole" not in sections["TickRole"]
