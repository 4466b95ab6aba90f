"""The second story, whole, on the local AWS; then what its schedule does by itself, on the same stage."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.sandbox.demo.figures import write_summary
from sagewatch.sandbox.demo.narrator import Narrator
from sagewatch.sandbox.demo.stage import set_up
from sagewatch.sandbox.demo.tabular_story import ENDPOINT, MONITORS, Plan, play
from sagewatch.sandbox.demo.tabular_summary import find_wrong, summarise
from sagewatch.state import State

ROOT = Path(__file__).parents[2]
SCHEDULE = f"{ENDPOINT}-data-quality"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The story, played once, with its stage still standing."""
    out = tmp_path_factory.mktemp("demo")
    narrator = Narrator(Console(quiet=True))
    with set_up(ROOT, out, None, narrator.say, monitors=MONITORS) as stage:
        told = play(stage, Plan(), narrator)
        summary = summarise(stage, told)
        write_summary(summary, out)
        yield stage, summary


def by_name(summary):
    return {act.name: act for act in summary.acts}


def test_nothing_is_wrong(played):
    _, summary = played
    assert find_wrong(summary) == []


def test_clean_traffic_alarms_neither_before_nor_after(played):
    _, summary = played
    acts = by_name(summary)
    assert summary.findings_on_clean_traffic == 0
    assert acts["clean"].violations == acts["recovered"].violations == []
    assert acts["clean"].rows == 300


def test_drift_is_found_in_numbers_counts_and_a_binary_feature(played):
    _, summary = played
    drifted = {
        feature
        for feature, check in by_name(summary)["drifted"].violations
        if check == "baseline_drift_check"
    }
    assert drifted >= {"day_minutes", "service_calls", "international_plan"}
    assert not drifted & {"night_minutes", "region", "voicemail_messages", "account_length"}


def test_each_break_is_named_by_its_own_check(played):
    _, summary = played
    assert set(by_name(summary)["broken"].violations) >= {
        ("evening_minutes", "completeness_check"),
        ("account_length", "data_type_check"),
        ("region", "categorical_values_check"),
        ("day_calls", "negative_values_check"),
    }


def test_requests_of_three_rows_are_three_rows(played):
    stage, summary = played
    for act in summary.acts:
        statistics = json.loads((stage.out / act.folder / "statistics.json").read_text())
        assert statistics["dataset"]["item_count"] == act.rows
        assert statistics["features"][0]["name"] == "churn_probability"


def test_one_incident_fires_once_and_resolves_once_for_each_receiver(played):
    stage, summary = played
    heard = sorted((alert.receiver, alert.state) for alert in summary.alerts if alert.state != "updated")
    assert heard == [
        (receiver, state)
        for receiver in ("ml-on-call/mail", "ml-on-call/slack")
        for state in ("firing", "resolved")
    ]
    assert len(stage.slack.messages()) == 1
    firing = next(a for a in summary.alerts if (a.receiver, a.state) == ("ml-on-call/mail", "firing"))
    assert "day_minutes" in (stage.out / firing.path).read_text()


def test_the_pages_are_there_and_name_what_is_broken(played):
    stage, summary = played
    pages = [
        Path(page).read_text() for page in (summary.page, summary.violations_page, summary.distributions_page)
    ]
    for page in pages:
        assert page.lower().startswith("<!doctype html>")
        assert "evening_minutes" in page
    assert json.loads((stage.out / "summary.json").read_text())["page"] == summary.page


def test_the_violations_table_tints_what_is_broken_and_colours_the_cell(played):
    _, summary = played
    page = Path(summary.violations_page).read_text()
    # A feature's cells, and a line for each of its violations, up to the next feature's.
    feature = r'<tr class="hit"><td class="name"[^>]*>(.*?)</td>(.*?)</tr>(?=<tr><td|<tr class="hit"><td class="name"|</table>)'
    hits = dict(re.findall(feature, page))
    assert set(hits) == {feature for feature, _ in by_name(summary)["broken"].violations}
    # Type, completeness, drift, categories; then check, expected and seen.
    colours = {name: re.findall(r'<td class="n( failed)?"', cells) for name, cells in hits.items()}
    assert colours["evening_minutes"][1] == colours["account_length"][0] == colours["region"][3] == " failed"
    assert "none below 0" in hits["day_calls"]


def test_violations_and_failures_are_metrics(played):
    stage, _ = played
    metrics = stage.aws.client("cloudwatch").list_metrics(Namespace="Sagewatch")["Metrics"]
    assert {"violation_count", "failed_runs"} <= {metric["MetricName"] for metric in metrics}


def test_the_schedule_starts_the_job_through_its_queue_once_a_window(played):
    stage, summary = played
    ended = by_name(summary)["recovered"].job.split("-")[-2]
    hour = datetime.strptime(f"{ended[:10]}+0000", "%Y%m%d%H%z")
    before = list_jobs(stage)
    for minutes in (10, 25):  # a wake-up that comes twice, and late
        stage.aws.worker.fire(SCHEDULE, at=hour + timedelta(hours=1, minutes=minutes))
    assert stage.aws.worker.wait_until_idle()
    (name,) = list_jobs(stage) - before
    job = stage.aws.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    assert job["Environment"]["start_time"] == f"{hour:%Y-%m-%dT%H:%M:%SZ}"
    assert job["Environment"]["sagemaker_monitoring_schedule_name"] == SCHEDULE
    assert job["RoleArn"] == stage.outputs["SageMakerRoleArn"]
    heard = stage.recorder.wait_for(
        lambda e: e["detail-type"] == "Finding Raised" and name.rsplit("-", 1)[1] in e["detail"]["source"], 60
    )
    assert heard is not None, "the whole hour holds the sick traffic too"


def test_an_hour_without_captures_starts_no_job_and_is_told(played):
    stage, _ = played
    before = list_jobs(stage)
    later = datetime.fromtimestamp(time.time() // 3600 * 3600, UTC) + timedelta(hours=5, minutes=10)  # noqa: TID251
    stage.aws.worker.fire(SCHEDULE, at=later)
    heard = stage.recorder.wait_for(
        lambda e: e["detail-type"] == "Finding Raised" and e["detail"]["kind"] == "job-failed", 60
    )
    assert heard is not None
    assert heard["detail"]["counts"] == {"no_data": 1}
    assert list_jobs(stage) == before


def test_nothing_called_out_and_no_message_was_given_up(played):
    stage, _ = played
    assert stage.aws.worker.wait_until_idle()
    assert stage.aws.outbound_attempts() == []
    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    assert set(state.load_schedule(SCHEDULE).open) >= {"job-failed"}


def list_jobs(stage):
    listed = stage.aws.client("sagemaker").list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
    return {job["ProcessingJobName"] for job in listed}
