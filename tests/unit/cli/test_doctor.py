"""What the doctor says of the account around a stack: rights and quotas that a swap needs at night."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.account import check_quotas, check_rights
from sagewatch.cli.checks.stack import check_rules
from sagewatch.cli.doctor import examine
from sagewatch.monitors import parse_monitors

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/diagnosis"
MODEL_ROLE = f"arn:aws:iam::{ACCOUNT}:role/models"
ENDPOINT = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/signs"
MONITORS = "version: 1\nendpoints: {signs: {diagnosis: {mode: swap}}, churn: {}}"


@pytest.fixture
def clients():
    """AWS's answers, to be given beforehand; each is checked against AWS's own description of the call."""
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    made = {
        name: boto3.client(name, **keys)
        for name in ("cloudformation", "events", "iam", "sagemaker", "service-quotas")
    }
    stubs = {name: Stubber(client) for name, client in made.items()}
    for stub in stubs.values():
        stub.activate()
    return made, stubs


def build_patient(clients, monitors=MONITORS):
    outputs = {"MonitorInstanceType": "ml.m5.large", "EventBus": "own"}
    return Patient(
        client=clients[0].__getitem__,
        outputs=outputs,
        stack="sagewatch-dev",
        monitors=parse_monitors(monitors, "monitors.yml"),
        now=NOW,
    )


def describe_role(stubs):
    row = {"LogicalResourceId": "AdvanceDiagnosisRole", "PhysicalResourceId": "diagnosis",
           "ResourceType": "AWS::IAM::Role", "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}  # fmt: skip
    stubs["cloudformation"].add_response("list_stack_resources", {"StackResourceSummaries": [row]})
    role = {"Path": "/", "RoleName": "diagnosis", "RoleId": "A" * 16, "Arn": ROLE, "CreateDate": NOW}
    stubs["iam"].add_response("get_role", {"Role": role}, {"RoleName": "diagnosis"})


def describe_endpoint(stubs, instances=2, kind="ml.m5.xlarge"):
    variant = {"VariantName": "AllTraffic", "CurrentInstanceCount": instances}
    stubs["sagemaker"].add_response(
        "describe_endpoint",
        {"EndpointName": "signs", "EndpointArn": ENDPOINT, "EndpointStatus": "InService", "CreationTime": NOW,
         "LastModifiedTime": NOW, "EndpointConfigName": "c", "ProductionVariants": [variant]},
        {"EndpointName": "signs"},
    )  # fmt: skip
    row = {"VariantName": "AllTraffic", "ModelName": "m", "InstanceType": kind}
    stubs["sagemaker"].add_response(
        "describe_endpoint_config",
        {"EndpointConfigName": "c", "EndpointConfigArn": ENDPOINT, "CreationTime": NOW, "ProductionVariants": [row]},
    )  # fmt: skip


def describe_model(stubs):
    stubs["sagemaker"].add_response(
        "describe_model",
        {"ModelName": "m", "ModelArn": ENDPOINT, "CreationTime": NOW, "ExecutionRoleArn": MODEL_ROLE},
    )


def simulate(stubs, action, resource, decision):
    expected = {
        "PolicySourceArn": ROLE,
        "ActionNames": [action],
        "ResourceArns": [resource],
        "ContextEntries": ANY,
    }
    result = {"EvalActionName": action, "EvalDecision": decision}
    stubs["iam"].add_response("simulate_principal_policy", {"EvaluationResults": [result]}, expected)


def test_a_model_whose_role_may_not_be_handed_on_is_found_before_the_swap(clients):
    _, stubs = clients
    describe_role(stubs)
    describe_endpoint(stubs)
    simulate(stubs, "sagemaker:UpdateEndpoint", ENDPOINT, "allowed")
    describe_model(stubs)
    simulate(stubs, "iam:PassRole", MODEL_ROLE, "implicitDeny")
    update, handing_on = check_rights(build_patient(clients))
    assert (update.well, handing_on.well) == (True, False)
    assert MODEL_ROLE in handing_on.fix
    assert "modelRoleArns" in handing_on.fix


def test_a_swap_needs_room_for_the_fleet_twice(clients):
    _, stubs = clients
    describe_endpoint(stubs, instances=3)
    rows = [
        {"QuotaName": "ml.m5.xlarge for endpoint usage", "Value": 5.0},
        {"QuotaName": "ml.m5.large for processing job usage", "Value": 4.0},
    ]
    stubs["service-quotas"].add_response(
        "list_service_quotas", {"Quotas": rows}, {"ServiceCode": "sagemaker"}
    )
    job, fleet = check_quotas(build_patient(clients))
    assert (job.well, fleet.well) == (True, False)
    assert fleet.found == "5 allowed, 6 needed"
    assert "ml.m5.xlarge for endpoint usage" in fleet.fix


def test_where_nothing_is_swapped_nothing_is_asked(clients):
    patient = build_patient(clients, "version: 1\nendpoints: {churn: {}}")
    assert list(check_quotas(patient)) == []


@pytest.mark.parametrize(("status", "well"), [(400, False), (500, None)])
def test_a_refusal_is_a_fault_and_a_failure_of_aws_itself_is_none(status, well, clients):
    _, stubs = clients
    describe_endpoint(stubs)
    stubs["service-quotas"].add_client_error("list_service_quotas", "Code", "no", status)
    (line,) = examine(build_patient(clients), [check_quotas])
    assert (line.what, line.well) == ("quotas", well)
    assert line.fix


def list_rules(stubs, *names):
    rows = [
        {"LogicalResourceId": name, "PhysicalResourceId": f"dev-{name}", "ResourceType": "AWS::Events::Rule",
         "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
        for name in names
    ]  # fmt: skip
    stubs["cloudformation"].add_response("list_stack_resources", {"StackResourceSummaries": rows})


def lack_rule(stubs, name, bus):
    stubs["events"].add_client_error(
        "describe_rule", "ResourceNotFoundException", f"Rule {name} does not exist.", 400,
        expected_params={"Name": name, "EventBusName": bus},
    )  # fmt: skip


def describe_rule(stubs, name, bus, state="ENABLED", targets=1):
    asked = {"EventBusName": bus}
    stubs["events"].add_response("describe_rule", {"Name": name, "State": state}, {"Name": name, **asked})
    rows = [{"Id": str(number), "Arn": ENDPOINT} for number in range(targets)]
    stubs["events"].add_response(
        "list_targets_by_rule", {"Targets": rows} if rows else {}, {"Rule": name, **asked}
    )


def test_a_rule_is_looked_for_on_both_buses_and_one_that_is_gone_hides_no_other(clients):
    _, stubs = clients
    list_rules(stubs, "AlertRule", "CaptureRule", "GoneRule", "IdleRule", "OffRule")
    lack_rule(stubs, "dev-AlertRule", "default")
    describe_rule(stubs, "dev-AlertRule", "own")
    describe_rule(stubs, "dev-CaptureRule", "default")
    lack_rule(stubs, "dev-GoneRule", "default")
    lack_rule(stubs, "dev-GoneRule", "own")
    describe_rule(stubs, "dev-IdleRule", "default", targets=0)
    describe_rule(stubs, "dev-OffRule", "default", state="DISABLED")
    lines = list(examine(build_patient(clients), [check_rules]))
    assert [line.well for line in lines] == [True, True, False, False, False]
    assert [line.found for line in lines[2:]] == ["gone", "enabled, 0 targets", "disabled, 1 targets"]
    assert "deploy" in lines[2].fix
    assert "deploy" in lines[3].fix
    assert lines[4].fix == "aws events enable-rule --name dev-OffRule --event-bus-name default"
