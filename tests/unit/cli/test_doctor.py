"""What the doctor says of the account around a stack: rights and quotas that a swap needs at night."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import msgspec
import pytest
from botocore.stub import ANY, Stubber

from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.account import check_quotas, check_rights
from sagewatch.cli.checks.endpoints import _check_capture_options, check_endpoints, check_monitoring
from sagewatch.cli.checks.rules import check_rules
from sagewatch.cli.checks.stack import check_dead_letters, check_subscriptions
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
        for name in (
            "cloudformation",
            "cloudwatch",
            "events",
            "iam",
            "s3",
            "sagemaker",
            "scheduler",
            "service-quotas",
            "sns",
            "sqs",
        )
    }
    stubs = {name: Stubber(client) for name, client in made.items()}
    for stub in stubs.values():
        stub.activate()
    return made, stubs


def build_patient(clients, monitors=MONITORS):
    outputs = {
        "MonitorInstanceType": "ml.m5.large", "EventBus": "own", "CaptureBucket": "captures", "CapturePrefix": "capture",
        "EvidenceBucket": "evidence", "MonitorImageUri": "image", "SageMakerRoleArn": ROLE, "MonitorScheduleGroup": "group",
    }  # fmt: skip
    return Patient(
        client=clients[0].__getitem__,
        outputs=outputs,
        stack="sagewatch-dev",
        monitors=parse_monitors(monitors, "monitors.yml") if monitors else None,
        now=NOW,
    )


def describe_role(stubs):
    row = {"LogicalResourceId": "AdvanceDiagnosisRole", "PhysicalResourceId": "diagnosis",
           "ResourceType": "AWS::IAM::Role", "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}  # fmt: skip
    stubs["cloudformation"].add_response("list_stack_resources", {"StackResourceSummaries": [row]})
    role = {"Path": "/", "RoleName": "diagnosis", "RoleId": "A" * 16, "Arn": ROLE, "CreateDate": NOW}
    stubs["iam"].add_response("get_role", {"Role": role}, {"RoleName": "diagnosis"})


def describe_endpoint(stubs, instances=2, kind="ml.m5.xlarge", name="signs", *, config=True):
    variant = {"VariantName": "AllTraffic", "CurrentInstanceCount": instances}
    stubs["sagemaker"].add_response(
        "describe_endpoint",
        {"EndpointName": name, "EndpointArn": ENDPOINT, "EndpointStatus": "InService", "CreationTime": NOW,
         "LastModifiedTime": NOW, "EndpointConfigName": "c", "ProductionVariants": [variant]},
        {"EndpointName": name},
    )  # fmt: skip
    if config:
        describe_config(stubs, kind)


def describe_config(stubs, kind="ml.m5.xlarge"):
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


def list_endpoints(stubs, *names):
    rows = [
        {"EndpointName": name, "EndpointArn": ENDPOINT, "CreationTime": NOW, "LastModifiedTime": NOW,
         "EndpointStatus": "InService"}
        for name in names
    ]  # fmt: skip
    stubs["sagemaker"].add_response("list_endpoints", {"Endpoints": rows}, {})


def answer_quotas(stubs, operation="list_service_quotas", **values):
    rows = [{"QuotaName": name, "Value": value} for name, value in values.items()]
    stubs["service-quotas"].add_response(operation, {"Quotas": rows}, {"ServiceCode": "sagemaker"})


FLEET, JOB = "ml.m5.xlarge for endpoint usage", "ml.m5.large for processing job usage"


@pytest.mark.parametrize(("allowed", "well"), [(9.0, True), (8.0, False)])
def test_a_swap_needs_room_for_its_fleet_twice_beside_all_that_runs(clients, allowed, well):
    _, stubs = clients
    describe_endpoint(stubs, instances=3)
    list_endpoints(stubs, "signs", "another")
    describe_config(stubs)
    describe_endpoint(stubs, instances=3, name="another")
    answer_quotas(stubs, **{FLEET: allowed, JOB: 4.0})
    job, fleet = check_quotas(build_patient(clients))
    assert (job.well, fleet.well) == (True, well)
    assert fleet.found == f"{allowed:.0f} allowed; 6 in use, 3 more while it is swapped"
    assert FLEET in fleet.fix


def test_a_quota_that_was_never_raised_is_aws_own(clients):
    _, stubs = clients
    describe_endpoint(stubs, instances=1)
    list_endpoints(stubs, "signs")
    describe_config(stubs)
    answer_quotas(stubs, **{JOB: 4.0})
    answer_quotas(stubs, "list_aws_default_service_quotas", **{FLEET: 1.0, JOB: 0.0})
    job, fleet = check_quotas(build_patient(clients))
    assert (job.well, job.found) == (True, "4 allowed; 1 for the saliency job")
    assert (fleet.well, fleet.found) == (False, "1 allowed; 1 in use, 1 more while it is swapped")


def test_an_endpoint_whose_configuration_is_gone_is_told_as_not_counted(clients):
    _, stubs = clients
    describe_endpoint(stubs, instances=1)
    list_endpoints(stubs, "signs", "old")
    describe_config(stubs)
    describe_endpoint(stubs, name="old", config=False)
    stubs["sagemaker"].add_client_error(
        "describe_endpoint_config", "ValidationException", "Could not find it", 400
    )
    answer_quotas(stubs, **{FLEET: 2.0, JOB: 1.0})
    job, fleet = check_quotas(build_patient(clients))
    assert (job.well, fleet.well) == (True, None)
    assert fleet.found == (
        "2 allowed; at least 1 in use, 1 more while it is swapped; "
        "1 endpoints not counted: their configuration is gone"
    )


@pytest.mark.parametrize("call", ["list_endpoints", "describe_endpoint", "describe_endpoint_config"])
@pytest.mark.parametrize(("allowed", "well"), [(9.0, None), (1.0, False)])
def test_a_refusal_in_the_middle_of_counting_leaves_the_quota_unknown_unless_what_was_counted_is_too_much(
    clients, call, allowed, well
):
    _, stubs = clients
    describe_endpoint(stubs, instances=1)
    if call == "list_endpoints":
        stubs["sagemaker"].add_client_error(call, "AccessDeniedException", "may not", 400)
        describe_config(stubs)
    else:
        list_endpoints(stubs, "signs", "another")
        describe_config(stubs)
        if call == "describe_endpoint_config":
            describe_endpoint(stubs, name="another", config=False)
        stubs["sagemaker"].add_client_error(call, "AccessDeniedException", "may not", 400)
    answer_quotas(stubs, **{FLEET: allowed, JOB: 1.0})
    job, fleet = check_quotas(build_patient(clients))
    assert (job.well, fleet.well) == (True, well)
    assert "at least 1 in use" in fleet.found
    if well is None:
        assert "AccessDenied" in fleet.found
        assert "right" in fleet.fix
    else:
        assert "higher quota" in fleet.fix


def test_where_nothing_is_swapped_nothing_is_asked(clients):
    patient = build_patient(clients, "version: 1\nendpoints: {churn: {}}")
    assert list(check_quotas(patient)) == []


@pytest.mark.parametrize(("status", "well"), [(400, False), (500, None)])
def test_a_refusal_is_a_fault_and_a_failure_of_aws_itself_is_none(status, well, clients):
    _, stubs = clients
    describe_endpoint(stubs)
    list_endpoints(stubs, "signs")
    describe_config(stubs)
    stubs["service-quotas"].add_client_error("list_service_quotas", "Code", "no", status)
    (line,) = examine(build_patient(clients), [check_quotas])
    assert (line.what, line.well) == ("quotas", well)
    assert line.fix


def lack_endpoint(stubs, name):
    stubs["sagemaker"].add_client_error(
        "describe_endpoint", "ValidationException", f'Could not find endpoint "{name}".', 400,
        expected_params={"EndpointName": name},
    )  # fmt: skip


def list_captures(stubs, hour, *times):
    prefix = f"capture/signs/AllTraffic/2026/11/21/{hour:02d}/"
    rows = [{"Key": prefix, "LastModified": at} for at in times]
    stubs["s3"].add_response("list_objects_v2", {"Contents": rows}, {"Bucket": "captures", "Prefix": prefix})


def test_an_endpoint_that_is_not_there_hides_no_other(clients):
    _, stubs = clients
    lack_endpoint(stubs, "churn")
    describe_endpoint(stubs)
    for hour in (12, 11, 10):
        list_captures(stubs, hour, *([NOW - timedelta(minutes=7)] if hour == 11 else []))
    monitors = "version: 1\nendpoints: {churn: {}, far.210987654321.eu-west-1: {}, signs: {}}"
    gone, far, service, captures, last = examine(build_patient(clients, monitors), [check_endpoints])
    assert (gone.what, gone.well) == ("endpoint churn", False)
    assert "deploy-endpoint churn" in gone.fix
    assert (far.well, service.well, captures.well, last.well) == (None, True, False, True)
    assert last.found == "7 min ago"


def test_rights_and_quotas_of_the_others_are_looked_at_where_one_endpoint_is_gone(clients):
    _, stubs = clients
    monitors = MONITORS.replace("churn: {}", "churn: {diagnosis: {mode: swap}}")
    # `signs` is described before `churn`, and its configuration only afterwards.
    describe_endpoint(stubs, config=False)
    lack_endpoint(stubs, "churn")
    describe_config(stubs)
    list_endpoints(stubs, "signs")
    describe_config(stubs)
    answer_quotas(stubs, **{FLEET: 5.0})
    answer_quotas(stubs, "list_aws_default_service_quotas")
    lines = list(examine(build_patient(clients, monitors), [check_quotas]))
    assert [line.well for line in lines] == [None, True]


def test_what_is_not_looked_at_is_said(clients):
    (line,) = examine(
        build_patient(clients, None), [check_endpoints, check_monitoring, check_rights, check_quotas]
    )
    assert line.well is None
    assert "--monitors" in line.fix


@pytest.mark.parametrize(("state", "well"), [("ENABLED", True), ("DISABLED", False), (None, False)])
def test_the_schedule_that_looks_at_the_data_is_there_and_on(state, well, clients):
    _, stubs = clients
    asked = {"GroupName": "group", "Name": "churn-data-quality"}
    if state is None:
        stubs["scheduler"].add_client_error(
            "get_schedule", "ResourceNotFoundException", "gone", 404, expected_params=asked
        )
    else:
        told = {"detail-type": "Monitor Due", "detail": {"endpoint": "churn"}}
        target = {"Arn": ENDPOINT, "RoleArn": ENDPOINT, "Input": json.dumps(told)}
        answer = {"State": state, "ScheduleExpression": "rate(1 hour)", "Target": target}
        stubs["scheduler"].add_response("get_schedule", answer, asked)
    job = {"ProcessingJobName": "sagewatch-monitor-churn-202611211200-0123abcd", "ProcessingJobArn": ENDPOINT,
           "CreationTime": NOW, "ProcessingJobStatus": "Failed", "FailureReason": "no data"}  # fmt: skip
    stubs["sagemaker"].add_response("list_processing_jobs", {"ProcessingJobSummaries": [job]})
    report = {"S3Uri": "s3://evidence/reports/churn/churn-data-quality/2026/11/21/12/0123abcd", "LocalPath": "/opt/out",
              "S3UploadMode": "EndOfJob"}  # fmt: skip
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
    described = {
        **job, "ProcessingResources": {"ClusterConfig": cluster}, "AppSpecification": {"ImageUri": "i"},
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "report", "S3Output": report}]},
    }  # fmt: skip
    stubs["sagemaker"].add_response("describe_processing_job", described)
    monitors = "version: 1\nendpoints: {churn: {quality: {every: 1h, baseline: 's3://evidence/baseline'}}}"
    schedule, run = examine(build_patient(clients, monitors), [check_monitoring])
    assert schedule.well is well
    assert "sagewatch monitor create churn" in schedule.fix
    assert (run.well, run.found) == (False, "Failed no data")


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


QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:dev-alert"
KEPT = f"{QUEUE}-dead-letters"


def describe_rule(stubs, name, bus, state="ENABLED", targets=1, to=QUEUE, kept=KEPT, policies=({}, {})):
    """The rule, its targets, and the queues that they name as far as the doctor has not asked for them before."""
    asked = {"EventBusName": bus}
    arn = f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/{name}"
    stubs["events"].add_response(
        "describe_rule", {"Name": name, "State": state, "Arn": arn}, {"Name": name, **asked}
    )
    beside = {"DeadLetterConfig": {"Arn": kept}} if kept else {}
    rows = [{"Id": str(number), "Arn": to, **beside} for number in range(targets)]
    stubs["events"].add_response(
        "list_targets_by_rule", {"Targets": rows} if rows else {}, {"Rule": name, **asked}
    )
    for queue, changes in zip((to, kept), policies if targets else (), strict=False):
        if queue:
            describe_queue(stubs, queue, arn.replace(name, "*") if changes == {} else changes)


def describe_queue(stubs, arn, rule):
    """A queue whose policy lets a rule in, or the statement given, or None without a policy."""
    row = {
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": [arn], "Condition": {"ArnEquals": {"aws:SourceArn": [rule]}},
    } if isinstance(rule, str) else rule  # fmt: skip
    url = f"https://sqs/{arn}"
    stubs["sqs"].add_response("get_queue_url", {"QueueUrl": url}, {"QueueName": arn.rpartition(":")[2]})
    policy = {"Attributes": {"Policy": json.dumps({"Statement": row})}} if row else {}
    stubs["sqs"].add_response("get_queue_attributes", policy, {"QueueUrl": url, "AttributeNames": ["Policy"]})


def test_a_hubs_rules_are_looked_for_on_the_spokes_bus_too(clients):
    _, stubs = clients
    list_rules(stubs, "SpokeCaptureRule")
    lack_rule(stubs, "dev-SpokeCaptureRule", "default")
    lack_rule(stubs, "dev-SpokeCaptureRule", "own")
    describe_rule(stubs, "dev-SpokeCaptureRule", "own-spokes")
    patient = build_patient(clients)
    patient.outputs["SpokeBusArn"] = f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/own-spokes"
    (line,) = examine(patient, [check_rules])
    assert (line.what, line.well) == ("rule SpokeCaptureRule", True)


def test_a_rule_is_looked_for_on_both_buses_and_one_that_is_gone_hides_no_other(clients):
    _, stubs = clients
    list_rules(stubs, "AlertRule", "CaptureRule", "GoneRule", "IdleRule", "OffRule")
    lack_rule(stubs, "dev-AlertRule", "default")
    describe_rule(stubs, "dev-AlertRule", "own")
    describe_rule(stubs, "dev-CaptureRule", "default", policies=())  # the same queues, asked for once
    lack_rule(stubs, "dev-GoneRule", "default")
    lack_rule(stubs, "dev-GoneRule", "own")
    describe_rule(stubs, "dev-IdleRule", "default", targets=0)
    describe_rule(stubs, "dev-OffRule", "default", state="DISABLED", policies=())
    lines = list(examine(build_patient(clients), [check_rules]))
    assert [line.well for line in lines] == [True, True, False, False, False]
    assert [line.found for line in lines[2:]] == ["gone", "enabled, 0 targets", "disabled, 1 targets"]
    assert "deploy" in lines[2].fix
    assert "deploy" in lines[3].fix
    assert lines[4].fix == "aws events enable-rule --name dev-OffRule --event-bus-name default"


def test_a_rule_that_leads_to_a_queue_that_is_gone_is_not_well(clients):
    _, stubs = clients
    list_rules(stubs, "AlertRule")
    describe_rule(stubs, "dev-AlertRule", "default", policies=())
    for gone in ("dev-alert", "dev-alert-dead-letters"):
        stubs["sqs"].add_client_error(
            "get_queue_url", "QueueDoesNotExist", "gone", 400, expected_params={"QueueName": gone}
        )
    (line,) = examine(build_patient(clients), [check_rules])
    assert (line.well, line.found) == (False, "enabled, 1 targets; gone: dev-alert, dev-alert-dead-letters")
    assert "deploy" in line.fix


def allow(**changes):
    row = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    return row | changes


# Wildcards are none to StringEquals, and are some to ArnEquals: IAM user guide, condition operators.
FIRST_DIGITS = {"aws:SourceAccount": f"{ACCOUNT[:4]}*"}
ANY_RULE = {"aws:SourceArn": f"arn:aws:events:*:{ACCOUNT}:rule/*"}
ANOTHERS = {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/another"}}


@pytest.mark.parametrize(
    ("policies", "well", "told"),
    [
        (({}, None), False, "may not send to dev-alert-dead-letters"),
        ((None, {}), False, "may not send to dev-alert"),
        (({}, allow(Condition=ANOTHERS)), False, "may not send to dev-alert-dead-letters"),
        (({}, allow(Effect="Deny")), False, "may not send to dev-alert-dead-letters"),
        (({}, allow(Resource=QUEUE)), False, "may not send to dev-alert-dead-letters"),
        (
            ({}, allow(Principal={"Service": "sns.amazonaws.com"})),
            False,
            "may not send to dev-alert-dead-letters",
        ),
        (
            ({}, allow(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
            None,
            "perhaps may not send",
        ),
        (({}, allow(Principal="*", Action="sqs:*")), True, "enabled, 1 targets"),
        (
            ({}, allow(Condition={"StringEquals": FIRST_DIGITS})),
            False,
            "may not send to dev-alert-dead-letters",
        ),
        (({}, allow(Condition={"StringLike": FIRST_DIGITS})), True, "enabled, 1 targets"),
        (({}, allow(Condition={"ArnEquals": ANY_RULE})), True, "enabled, 1 targets"),
    ],
)
def test_a_rule_whose_queue_or_dead_letter_queue_does_not_let_it_in_is_not_well(
    policies, well, told, clients
):
    """EventBridge tells nobody: what neither queue takes is gone."""
    _, stubs = clients
    list_rules(stubs, "AlertRule")
    describe_rule(stubs, "dev-AlertRule", "default", policies=policies)
    (line,) = examine(build_patient(clients), [check_rules])
    assert line.well is well
    assert told in line.found
    stubs["sqs"].assert_no_pending_responses()


@pytest.mark.parametrize(("kept", "told"), [("", "no dead-letter queue beside dev-alert"),
                                            (KEPT.replace("eu-west-1", "eu-west-2"), "may not send to dev-alert-dead-letters")])  # fmt: skip
def test_a_target_without_a_dead_letter_queue_of_its_region_is_not_well(kept, told, clients):
    _, stubs = clients
    list_rules(stubs, "AlertRule")
    describe_rule(stubs, "dev-AlertRule", "default", kept=kept)
    (line,) = examine(build_patient(clients), [check_rules])
    assert (line.well, line.found) == (False, f"enabled, 1 targets; {told}")


def list_subscriptions(stubs, *pages):
    """Pages of what SNS lists of the topic of alerts."""
    for number, arns in enumerate(pages, 1):
        rows = [{"SubscriptionArn": arn, "Endpoint": "ada@example.com"} for arn in arns]
        more = {"NextToken": str(number)} if number < len(pages) else {}
        stubs["sns"].add_response("list_subscriptions_by_topic", {"Subscriptions": rows, **more})


@pytest.mark.parametrize(
    ("pages", "well"),
    [
        ([["Deleted"]], False),
        ([["Deleted"], [f"{ROLE}:1"]], True),
        ([[f"{ROLE}:1"], ["PendingConfirmation"]], False),
    ],
)
def test_who_cancelled_does_not_hear_and_every_page_is_asked(pages, well, clients):
    _, stubs = clients
    patient = build_patient(clients)
    patient = msgspec.structs.replace(patient, outputs={"AlertsTopicArn": "arn:aws:sns:eu-west-1:1:alerts"})
    list_subscriptions(stubs, *pages)
    (line,) = check_subscriptions(patient)
    assert line.well is well
    stubs["sns"].assert_no_pending_responses()


LETTERS = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:alert-dead-letters"


def look_at_letters(clients, ages=(), tasks=()):
    """Two letters in a queue; how old CloudWatch says the oldest is, and what became of the last redrives."""
    _, stubs = clients
    patient = msgspec.structs.replace(
        build_patient(clients), outputs={"AlertDeadLettersUrl": "https://queue"}
    )
    counts = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "2"}
    kept = {**counts, "QueueArn": LETTERS, "MessageRetentionPeriod": "1209600"}
    stubs["sqs"].add_response("get_queue_attributes", {"Attributes": kept})
    points = [{"Timestamp": NOW, "Maximum": age.total_seconds(), "Unit": "Seconds"} for age in ages]
    stubs["cloudwatch"].add_response("get_metric_statistics", {"Datapoints": points})
    stubs["sqs"].add_response(
        "list_message_move_tasks", {"Results": list(tasks)}, {"SourceArn": LETTERS, "MaxResults": 1}
    )
    return list(check_dead_letters(patient))


def test_a_dead_letter_that_somebody_just_reads_is_counted(clients):
    (line,) = look_at_letters(clients, ages=[timedelta(days=6)], tasks=[{"Status": "COMPLETED"}])
    assert (line.well, line.found) == (False, "2 messages given up")


def test_letters_that_sqs_will_drop_are_told_of_in_time(clients):
    _, line = look_at_letters(clients, ages=[timedelta(days=8), timedelta(days=9, hours=3)])
    assert (line.well, line.what) == (False, "AlertDeadLetters")
    assert line.found == "the oldest is 9 days old, and SQS drops each after 14"


def test_a_redrive_that_aws_gave_up_is_told_of(clients):
    task = {
        "Status": "FAILED", "FailureReason": "AccessDenied", "ApproximateNumberOfMessagesMoved": 3,
        "ApproximateNumberOfMessagesToMove": 5,
    }  # fmt: skip
    _, line = look_at_letters(clients, tasks=[task])
    assert (line.well, line.found) == (False, "the last redrive failed after 3 of 5: AccessDenied")
    assert "sagewatch dead-letters redrive alert" in line.fix


@pytest.mark.parametrize(
    ("modes", "percentage", "wells"),
    [
        (("Input", "Output"), 100, []),
        (("Input",), 1, [False, None]),
        (("Output",), 100, [False]),
        (("InputAndOutput",), 100, []),
    ],
)
def test_what_captures_leave_out_is_said(modes, percentage, wells):
    capture = {
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        "InitialSamplingPercentage": percentage,
    }
    lines = list(_check_capture_options("signs", capture))
    assert [line.well for line in lines] == wells
    assert all(line.fix for line in lines)


@pytest.mark.parametrize(
    ("code", "gone"),
    [("NotFound", True), ("NoSuchBucket", True), ("AccessDenied", False), ("ValidationException", True)],
)
def test_what_was_deleted_is_not_told_as_a_missing_right(code, gone, clients):
    _, stubs = clients
    describe_endpoint(stubs)
    list_endpoints(stubs, "signs")
    describe_config(stubs)
    stubs["service-quotas"].add_client_error("list_service_quotas", code, "Could not find it", 400)
    (line,) = examine(build_patient(clients), [check_quotas])
    assert line.found.startswith("gone") is gone
    assert ("right" in line.fix) is not gone


def test_a_configuration_that_was_deleted_hides_no_other_endpoint(clients):
    _, stubs = clients
    describe_endpoint(stubs)
    stubs["sagemaker"]._queue.pop()  # its configuration
    stubs["sagemaker"].add_client_error(
        "describe_endpoint_config", "ValidationException", "Could not find endpoint configuration", 400
    )
    lack_endpoint(stubs, "zebra")
    monitors = "version: 1\nendpoints: {signs: {}, zebra: {}}"
    service, config, other = examine(build_patient(clients, monitors), [check_endpoints])
    assert (service.well, config.well, config.found[:4]) == (True, False, "gone")
    assert (other.what, other.well) == ("endpoint zebra", False)


def test_a_queue_that_was_deleted_hides_no_other(clients):
    _, stubs = clients
    outputs = {"AlertDeadLettersUrl": "https://a", "CaptureDeadLettersUrl": "https://b"}
    patient = msgspec.structs.replace(build_patient(clients), outputs=outputs)
    stubs["sqs"].add_client_error(
        "get_queue_attributes", "AWS.SimpleQueueService.NonExistentQueue", "no", 400
    )
    counts = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}
    stubs["sqs"].add_response("get_queue_attributes", {"Attributes": counts})
    gone, other = check_dead_letters(patient)
    assert (gone.well, gone.found[:4], other.well) == (False, "gone", True)
