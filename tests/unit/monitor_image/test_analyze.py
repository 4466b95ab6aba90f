"""The monitoring job on the container contract: what it is given, and the reports that it leaves."""

from __future__ import annotations

import json

import pytest

from sagewatch.quality.constraints import parse_constraints
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.violations import parse_violations
from tests.unit.monitor_image.container import CSV, DATA, captured, make_baseline, rows
from tests.unit.quality.records import capture_line
from tests.unit.quality.tables import REAL, needs_real


def test_a_baseline_and_a_quiet_hour(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run() == 0
    assert container.message == "Completed: Job completed successfully with no violations."
    assert container.files() == ["constraint_violations.json", "constraints.json", "statistics.json"]
    assert json.loads(container.output("constraint_violations.json")) == {"violations": []}
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 60
    assert parse_constraints(container.output("constraints.json")).names == ("score", "age", "kind")


def test_a_drifted_hour_ends_with_violations_and_exit_code_0(container):
    make_baseline(container)
    container.captures([*captured(rows(200, 3, low=2.0)), "nonsense"])
    assert container.run() == 0
    found = parse_violations(container.output("constraint_violations.json")).violations
    assert [each.feature_name for each in found] == ["score"]
    assert container.message.startswith(
        "CompletedWithViolations: Job completed successfully with 1 violations. 1 of 201 lines were rejected (1 not_json;"
    )
    rejected = json.loads(container.output("rejected_records.jsonl"))
    assert (rejected["line"], rejected["reason"]) == (201, "not_json")


def test_metrics_are_written_for_cloudwatch(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run(metric_time="2026-06-12T10:00:00Z") == 0
    lines = (
        container.output("cloudwatch_metrics.jsonl", "opt/ml/output/metrics/cloudwatch").decode().splitlines()
    )
    metrics = {metric["MetricName"]: metric for metric in map(json.loads, lines)}
    assert metrics["violation_count"] == {
        "MetricName": "violation_count",
        "Timestamp": "2026-06-12T10:00:00Z",
        "Dimensions": [
            {"Name": "Endpoint", "Value": "tabular"},
            {"Name": "MonitoringSchedule", "Value": "hourly"},
        ],
        "Value": 0.0,
        "Unit": "Count",
    }
    assert metrics["feature_data_age"]["StatisticValues"]["SampleCount"] == 60.0
    assert 0 < metrics["feature_baseline_drift_score"]["Value"] < 0.3
    assert "feature_non_null_kind" in metrics
    assert "feature_data_kind" not in metrics


def test_the_processes_environment_goes_before_the_platforms_file(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run(output_path="/opt/ml/elsewhere", publish_cloudwatch_metrics="Disabled") == 0
    assert "statistics.json" in container.files("opt/ml/elsewhere")
    assert not (container.root / "opt/ml/output/metrics").exists()


def test_the_first_notebooks_job_needs_a_threshold_and_nothing_else(container, capsys):
    answered = ("JSON", "application/json")
    container.captures(
        [capture_line("k05VTVBZ", "[[14]]", sent_as=("BASE64", "application/x-npy"), answered_as=answered)]
        * 8
        + [capture_line("k05VTVBZ", "[[2]]", sent_as=("BASE64", "application/x-npy"), answered_as=answered)]
        * 2
    )
    classes = container.root / "opt/ml/processing/input/classes/signnames.csv"
    classes.parent.mkdir(parents=True)
    classes.write_text("ClassId,SignName\n14,Stop sign\n")
    container.config(
        Environment={"THRESHOLD": "0.5"},
        ProcessingOutputConfig={"Outputs": [{"S3Output": {"LocalPath": "/opt/ml/processing/outputs"}}]},
    )
    assert container.run() == 0, container.message
    assert container.message == "CompletedWithViolations: Job completed successfully with 1 violations."
    found = parse_violations(
        container.output("constraint_violations.json", "opt/ml/processing/outputs")
    ).violations
    assert [(each.feature_name, each.constraint_check_type) for each in found] == [
        ("14", "class_share_check")
    ]
    assert (
        found[0].description
        == "Class 14 ('Stop sign') predicted 80.0 % of the time which is above the threshold of 50.0 %"
    )
    assert "Predicted classes {'14': 8, '2': 2}" in capsys.readouterr().out


def test_features_are_left_out_by_name_whatever_blanks_are_between_them(container):
    data = container.root / DATA / "d.csv"
    data.parent.mkdir(parents=True)
    data.write_text("a,b,c\n1,2,3\n")
    assert container.run(dataset_format=CSV, exclude_features_attribute="a, b ,") == 0
    assert [each.name for each in parse_statistics(container.output("statistics.json")).features] == ["c"]


def test_a_class_beyond_its_share_is_told_beside_the_baselines_violations(container):
    make_baseline(container)
    container.captures([capture_line(f"{age},{kind}", "3.5") for _, age, kind in rows(60, 2)])
    assert container.run(THRESHOLD="0.9") == 0, container.message
    found = parse_violations(container.output("constraint_violations.json")).violations
    assert [(each.feature_name, each.constraint_check_type) for each in found] == [
        ("score", "baseline_drift_check"),
        ("3.5", "class_share_check"),
    ]
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 60


@needs_real
@pytest.mark.real
def test_a_real_job_config_is_understood(container):
    content = json.loads(
        (REAL / "events/api_responses/processingjobconfig_baselining_churn.json").read_text()
    )
    container.config(**content)
    folder = container.root / "opt/ml/processing/input/baseline_dataset_input"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_bytes((REAL / "churn/training-dataset-with-header.csv").read_bytes())
    assert container.run() == 0, container.message
    theirs = parse_constraints((REAL / "reports/churn_xgb/constraints.json").read_bytes())
    assert parse_constraints(container.output("constraints.json")).features == theirs.features
