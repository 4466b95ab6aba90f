"""What the deployed stack promises: every arrow goes through a queue, nobody may more than is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagewatch.events import CanaryDue, parse_event
from sagewatch.events.facts import DiagnosisChanged, IncidentChanged
from sagewatch.rehearsal import ARRIVED
from sagewatch.settings import load_settings
from sagewatch.wiring import METRICS_NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {
    "ingest_capture",
    "ingest_report",
    "manage_incident",
    "advance_diagnosis",
    "deliver_alert",
    "slack_action",
    "start_monitor",
    "tick",
}


def function_name(properties):
    return properties["FunctionName"].removeprefix("sagewatch-contract").rsplit("-", 1)[-1]


def attribute_of(value):
    """Logical id that a GetAtt asks."""
    return value["Fn::GetAtt"][0]


def test_every_function_of_the_repository_is_deployed_and_has_its_handler(of_type):
    functions = of_type("AWS::Lambda::Function")
    assert {function_name(properties) for properties in functions.values()} == FUNCTIONS
    for properties in functions.values():
        assert (ROOT / f"{properties['Handler'].removesuffix('.handler')}.py").is_file()


def test_a_package_holds_the_handler_and_the_monitors_and_nothing_else(packaged):
    for name in FUNCTIONS:
        with zipfile.ZipFile(packaged / f"{name}.zip") as archive:
            names = archive.namelist()
        assert [n for n in names if n.endswith("monitors.json")], name
        assert [n for n in names if not n.endswith("monitors.json")] == [f"functions/{name}/handler.py"]


def test_every_rule_targets_a_queue_and_keeps_what_it_cannot_deliver(of_type):
    queues = set(of_type("AWS::SQS::Queue"))
    for rule in of_type("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            assert attribute_of(target["Arn"]) in queues
            assert attribute_of(target["DeadLetterConfig"]["Arn"]) in queues


def test_every_schedule_targets_a_queue_that_its_role_may_fill(of_type):
    schedules, roles = of_type("AWS::Scheduler::Schedule"), of_type("AWS::IAM::Role")
    assert set(schedules) == {"TickSchedule", "CanarySchedule"}
    for schedule in schedules.values():
        target = schedule["Target"]
        assert attribute_of(target["Arn"]) == "TickQueue"
        statements = roles[attribute_of(target["RoleArn"])]["Policies"][0]["PolicyDocument"]["Statement"]
        assert [one["Resource"] for one in statements if one.get("Action") == "sqs:SendMessage"] == [
            target["Arn"]
        ]
    assert json.loads(schedules["TickSchedule"]["Target"]["Input"])["detail-type"] == "Tick"


def test_the_canarys_message_is_marked_and_its_alarm_misses_it_after_two_periods(of_type):
    schedule = of_type("AWS::Scheduler::Schedule")["CanarySchedule"]
    message = schedule["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", "2026-11-21T12:00:00Z")
    assert parse_event(json.loads(message)) == CanaryDue(
        "canary.2026-11-21T12:00:00Z", datetime(2026, 11, 21, 12, tzinfo=UTC)
    )
    alarm = of_type("AWS::CloudWatch::Alarm")["CanaryAlarm"]
    minutes = int(re.fullmatch(r"rate\((\d+) minutes\)", schedule["ScheduleExpression"])[1])
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60 * minutes, 2)
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    assert (alarm["Namespace"], alarm["MetricName"]) == (METRICS_NAMESPACE, ARRIVED)
    (dimension,) = alarm["Dimensions"]
    bus = of_type("AWS::Events::EventBus")["FactBus"]["Name"]
    assert dimension == {"Name": "EventBus", "Value": bus}


@pytest.mark.parametrize(
    ("given", "minutes"),
    [("0", 0), ("15", 15), ("720", 720), ("4", None), ("721", None), ("7.5", None), ("often", None)],
)
def test_the_canarys_rate_can_be_switched_off_and_a_wrong_one_stops_the_deployment(given, minutes):
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    script = (
        "require('./resources/watch.js')({resolveVariable: async () => process.argv[1]})"
        ".then((made) => console.log(JSON.stringify(made.Resources)), () => process.exit(3))"
    )
    done = subprocess.run([node, "-e", script, given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == (3 if minutes is None else 0), done.stderr
    made = json.loads(done.stdout) if minutes is not None else {}
    assert {"CanarySchedule", "CanaryAlarm"} & set(made) == (
        {"CanarySchedule", "CanaryAlarm"} if minutes else set()
    )
    assert not minutes or made["CanaryAlarm"]["Properties"]["Period"] == 60 * minutes
    assert ("CanaryAlarm" in json.dumps(made.get("AlertsAtRiskAlarm"))) == bool(minutes)


def test_a_queue_admits_exactly_the_rules_that_target_it(of_type):
    wanted: dict[str, set[str]] = {}
    for name, rule in of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            wanted.setdefault(attribute_of(target["Arn"]), set()).add(name)
    admitted: dict[str, set[str]] = {}
    for policy in of_type("AWS::SQS::QueuePolicy").values():
        (statement,) = policy["PolicyDocument"]["Statement"]
        sources = {attribute_of(arn) for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]}
        admitted[policy["Queues"][0]["Ref"]] = sources
    assert admitted == wanted


def test_every_function_drains_one_queue_with_room_to_finish_and_a_dead_letter_queue(of_type):
    functions, queues = of_type("AWS::Lambda::Function"), of_type("AWS::SQS::Queue")
    mappings = of_type("AWS::Lambda::EventSourceMapping").values()
    drained = {attribute_of(m["FunctionName"]): queues[attribute_of(m["EventSourceArn"])] for m in mappings}
    assert set(drained) == set(functions) - {"SlackUnderscoreactionLambdaFunction"}  # it answers an address
    for logical_id, queue in drained.items():
        assert queue["VisibilityTimeout"] >= 6 * functions[logical_id]["Timeout"]
        assert attribute_of(queue["RedrivePolicy"]["deadLetterTargetArn"]).endswith("DeadLetters")
    assert all(m["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for m in mappings)


def test_what_fails_for_good_reaches_the_dead_letters_before_it_expires(of_type):
    """A failed record of a batch is no error of its function: these alarms are all that tells of it."""
    queues, alarms = of_type("AWS::SQS::Queue"), of_type("AWS::CloudWatch::Alarm")
    for name, queue in queues.items():
        if "RedrivePolicy" in queue:
            tried_for = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
            assert queue["MessageRetentionPeriod"] >= 1.5 * tried_for, name
            age = alarms[f"{name.removesuffix('Queue')}AgeAlarm"]
            assert queue["MessageRetentionPeriod"] > age["Threshold"] + age["EvaluationPeriods"] * 60, name


def test_functions_are_woken_by_nothing_but_their_queue_save_the_one_that_slack_calls(of_type):
    for permission in of_type("AWS::Lambda::Permission").values():
        assert permission["FunctionName"] == {"Fn::GetAtt": ["SlackUnderscoreactionLambdaFunction", "Arn"]}
    (url,) = of_type("AWS::Lambda::Url").values()
    assert url["AuthType"] == "NONE"
    assert attribute_of(url["TargetFunctionArn"]) == "SlackUnderscoreactionLambdaFunction"


def test_the_address_may_be_called_by_anybody_but_only_as_an_address(of_type):
    """Since October 2025 a function URL needs both permissions (AWS Lambda, "Control access to function URLs")."""
    allowed = {one["Action"]: one for one in of_type("AWS::Lambda::Permission").values()}
    assert set(allowed) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert allowed["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


def test_settings_find_all_that_they_need_in_each_functions_environment(of_type):
    for properties in of_type("AWS::Lambda::Function").values():
        variables = dict.fromkeys(properties["Environment"]["Variables"], "set")
        load_settings({**variables, "AWS_REGION": "eu-west-1"})


def resolve(pattern):
    """An event pattern with the names that a deployment gives: a Ref becomes its logical id in small letters."""
    if isinstance(pattern, dict):
        if "Ref" in pattern:
            return pattern["Ref"].lower()
        if "Fn::If" in pattern:
            return resolve(pattern["Fn::If"][1])
        return {key: resolve(value) for key, value in pattern.items()}
    return [resolve(value) for value in pattern] if isinstance(pattern, list) else pattern


def rules_matching(of_type, event, bus=None):
    """Rules that a moto of the pinned version would let the event through."""
    from moto.events.models import EventPattern

    return {
        name
        for name, rule in of_type("AWS::Events::Rule").items()
        if rule.get("EventBusName", {}).get("Ref") == bus
        and EventPattern.load(json.dumps(resolve(rule["EventPattern"]))).matches_event(event)
    }


def object_created(bucket, key):
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "etag": "a"}},
    }


@pytest.mark.parametrize(
    ("bucket", "key", "rules"),
    [
        ("capturebucket", "capture/e/AllTraffic/2026/06/12/10/33-28-867-b7b86a39.jsonl", {"CaptureRule"}),
        ("capturebucket", "capture/e/AllTraffic/2026/06/12/10/33-28-867-b7b86a39.jsonl.tmp", set()),
        ("capturebucket", "other/e/AllTraffic/2026/06/12/10/33-28-867-b7b86a39.jsonl", set()),
        ("another", "capture/e/AllTraffic/2026/06/12/10/33-28-867-b7b86a39.jsonl", set()),
        ("evidencebucket", "tensors/i1/w/index/000000000/000000000012_worker_0.json", {"TensorsRule"}),
        ("evidencebucket", "tensors/i1/w/events/000000000012/000000000012_worker_0.tfevents", set()),
        ("evidencebucket", "incidents/i1/index.html", set()),
    ],
)
def test_an_object_wakes_the_function_whose_business_it_is(of_type, bucket, key, rules):
    assert rules_matching(of_type, object_created(bucket, key)) == rules


@pytest.mark.real
def test_real_events_of_sagemaker_match_as_published(of_type):
    real = ROOT.parent / "shared" / "real" / "events"
    if not real.exists():
        pytest.skip("real events are not here")
    matched = {
        file.stem: rules_matching(of_type, json.loads(file.read_text()))
        for file in sorted(real.glob("sagemaker*/*.json"))
    }
    assert {name: rules for name, rules in matched.items() if rules} == {
        "endpoint_state_change": {"EndpointStateRule"},
        "processing_job_state_change_debugger_rule": {"ExplainJobRule", "MonitoringJobRule"},
    }


def test_every_fact_of_ours_is_routed_or_known_to_stay_in_the_archive(of_type):
    kinds = ["Finding Raised", "Finding Cleared", "Alert Due"]
    kinds += [f"Incident {change.capitalize()}" for change in IncidentChanged.CHANGES]
    kinds += [f"Diagnosis {change.capitalize()}" for change in DiagnosisChanged.CHANGES]
    routed = {
        kind: rules_matching(
            of_type, {"source": "sagewatch", "detail-type": kind, "detail": {}}, bus="FactBus"
        )
        for kind in kinds
    }
    assert {kind for kind, rules in routed.items() if not rules} == set()
    assert routed["Incident Opened"] == {"DiagnosedIncidentRule", "AlertRule"}
    assert routed["Diagnosis Due"] == {"DiagnosedIncidentRule"}


def test_dashboards_show_metrics_that_are_put_and_resources_that_are_there(template, of_type):
    flows = ROOT / "layers/core/python/sagewatch/flows"
    source = "".join((flows / f"{name}.py").read_text() for name in ("ingest_capture", "ingest_report"))
    for dashboard in of_type("AWS::CloudWatch::Dashboard").values():
        body = dashboard["DashboardBody"]["Fn::Sub"]
        searched = re.findall(r"SEARCH\('\{Sagewatch,([\w,]+)\} MetricName=\\\"(\w+)", body)
        assert {name for _, name in searched} >= {"Predictions", "PredictedClass", "Log10Excess"}
        for dimensions, name in searched:
            assert f'"{name}"' in source
            assert all(f'"{word}"' in source or f"{word}=" in source for word in dimensions.split(","))
        named = {name.split(".")[0] for name in re.findall(r"\$\{(\w[\w.]*)\}", body)}
        assert named - {"AWS::Region"} <= set(template["Resources"])
        assert json.loads(body)["widgets"]


def test_every_graph_of_the_endpoints_dashboard_follows_the_choice_at_its_top(of_type):
    body = json.loads(of_type("AWS::CloudWatch::Dashboard")["EndpointDashboard"]["DashboardBody"]["Fn::Sub"])
    (choice,) = body["variables"]
    for widget in body["widgets"]:
        ((metric,),) = widget["properties"]["metrics"]
        assert f'="{choice["pattern"]}"' in metric["expression"]


def test_every_alarm_tells_operations_and_never_the_people_on_call_for_models(of_type):
    for alarm in of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "OperationsTopic"}]


def test_every_parameter_with_a_choice_may_be_left_empty(template):
    assert all(row["Default"] == "" for row in template["Parameters"].values())


def test_no_secret_stands_in_the_template(template):
    text = json.dumps(template)
    assert not re.search(r"xox[abp]-|AKIA[0-9A-Z]{16}|resolve:secretsmanager", text)
