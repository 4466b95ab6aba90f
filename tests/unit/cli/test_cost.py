"""The estimate adds up, grows with what it stands on, and its assumptions about our own work hold."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.cost import PRICES
from sagewatch.cli.cost_model import ASSUMPTIONS, FUNCTIONS, Assumption, Traffic, estimate
from sagewatch.entry import Batch
from sagewatch.errors import ConfigurationError
from sagewatch.flows.ingest_capture import ingest_capture
from tests.unit.flows.captures import draw_clean, put_file
from tests.unit.flows.worlds import NOW, build_world

ROOT = Path(__file__).parents[3]
TABLE = json.loads(PRICES.read_text())


def month(**changes):
    return estimate(Traffic(**{"endpoints": 1, "predictions_per_day": 100_000, **changes}), TABLE)


def test_a_line_worked_out_by_hand():
    found = {line.service: line.month for line in month(endpoints=3, predictions_per_day=10**6).lines}
    # 3 endpoints x 1440 files x 30 days; polls of 7 queues: 15 x 43 200 each; three requests a file and a tick.
    # Facts: 12 of each of 6 incidents, and of a canary every 15 minutes.
    facts = 12 * (6 + 2880)
    requests = 7 * 15 * 43_200 + 3 * (3 * 1440 * 30 + 43_200 + facts)
    assert found["SQS"] == pytest.approx(requests / 1e6 * 0.40)
    assert found["SageMaker (saliency jobs)"] == pytest.approx(6 * 10 / 60 * 0.115)


def test_the_hourly_job_is_hours_times_price():
    assert month(endpoints=2).hourly_job == pytest.approx(2 * 720 * 6 / 60 * 0.23)


def test_the_ratio_holds_like_against_like_however_many_captures_lie_in_s3():
    """At 20 GB a day the captures are most of the month: the jobs need them just as much."""
    found = month(predictions_per_day=10**7)
    # 10 million a day, 90 days, 2000 bytes each.
    assert found.captures == pytest.approx(10**7 * 90 * 2000 / 1e9 * 0.023)
    assert found.ratio == pytest.approx(found.hourly_job / (found.month - found.captures))
    assert found.ratio > 1.4 * found.hourly_job / found.month
    assert month(predictions_per_day=10**8).ratio == pytest.approx(found.ratio)  # as many files


def test_the_canary_and_the_archives_are_counted():
    tight = {**ASSUMPTIONS, "canary_minutes": Assumption(5, "")}
    lines = {one.service: one.month for one in month().lines}
    often = {
        one.service: one.month
        for one in estimate(Traffic(endpoints=1, predictions_per_day=100_000), TABLE, tight).lines
    }
    for service in ("Lambda", "SQS", "EventBridge", "DynamoDB"):
        assert often[service] > lines[service]


@pytest.mark.parametrize(
    "more", [{"endpoints": 5}, {"predictions_per_day": 10**7}, {"incidents_per_month": 50}, {"instances": 8}]
)
def test_more_of_anything_costs_more(more):
    assert month(**more).month > month().month


def test_arm_is_cheaper_than_x86():
    assert month(architecture="arm64").month < month().month


@pytest.mark.parametrize("name", sorted(ASSUMPTIONS))
def test_every_assumption_that_is_printed_moves_the_estimate(name):
    doubled = {**ASSUMPTIONS, name: Assumption(ASSUMPTIONS[name].value * 2, "")}
    plain, other = month(), estimate(Traffic(endpoints=1, predictions_per_day=100_000), TABLE, doubled)
    assert (other.month, other.hourly_job) != (plain.month, plain.hourly_job)


@pytest.mark.parametrize(
    "name", sorted(set(TABLE) - {"region", "currency", "as_of", "source", "processing_hour", "quotas"})
)
def test_every_price_of_the_table_is_used(name):
    dearer = {**TABLE, name: TABLE[name] * 2}
    both = [
        sum(
            estimate(Traffic(endpoints=1, predictions_per_day=1000, architecture=a), table).month
            for a in ("arm64", "x86_64")
        )
        for table in (TABLE, dearer)
    ]
    assert both[1] > both[0]


def test_functions_are_those_of_the_stack():
    assert len(list((ROOT / "functions").glob("*/handler.py"))) == FUNCTIONS


class Counted:
    """The table, counting capacity units as DynamoDB does: 4 KB a read (half for Query's pages alike), 1 KB a write."""

    def __init__(self, items):
        self._items, self.reads, self.writes = items, 0.0, 0.0

    def get(self, pk, sk):
        row = self._items.get(pk, sk)
        self.reads += max(1, -(-len(row.body if row else b"") // 4096))
        return row

    def query(self, *words):
        rows = list(self._items.query(*words))
        self.reads += max(1, -(-sum(len(row.body) for row in rows) // 4096))
        return iter(rows)

    def write(self, writes):
        units = sum(max(1, -(-len(one.item.body) // 1024)) for one in writes)
        self.writes += units * (2 if len(writes) > 1 else 1)  # a transaction counts twice
        self._items.write(writes)

    def delete(self, *words):
        self.writes += 1
        self._items.delete(*words)


def test_the_tables_units_for_a_capture_file_are_no_more_than_is_assumed():
    world, rng = build_world(), random.Random(2)
    counted = Counted(world.state._items)
    world.state._items = counted
    files = 120
    for n in range(files):
        at = NOW + timedelta(minutes=n)
        world.now.now = at + timedelta(seconds=70)
        event = put_file(world, draw_clean(60, rng), at, number=n)
        if n == files // 2:  # the detectors have learnt: from here on it is every day's work
            counted.reads = counted.writes = 0.0
        body = {"messageId": str(n), "receiptHandle": "r", "body": json.dumps(event), "attributes": {},
                "messageAttributes": {}, "eventSource": "aws:sqs"}  # fmt: skip
        assert Batch(ingest_capture, world).run([body]) == {"batchItemFailures": []}
    reads, writes = counted.reads / (files / 2), counted.writes / (files / 2)
    assert reads <= ASSUMPTIONS["reads_a_file"].value < 4 * reads, reads
    assert writes <= ASSUMPTIONS["writes_a_file"].value < 4 * writes, writes


def test_the_command_prints_every_line_and_every_assumption_and_json_says_the_same():
    words = ["cost", "--endpoints", "10", "--predictions-per-day", "100000"]
    told = CliRunner().invoke(cli, words).output
    whole = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert all(line["service"] in told for line in whole["lines"])
    assert all(one["what"] in told for one in whole["assumptions"].values())
    assert whole["month"] == pytest.approx(sum(line["month"] for line in whole["lines"]))
    assert whole["prices"]["as_of"] in told
    assert "NEAR  SageMaker: ml.m5.large" in told


def test_a_file_says_what_is_otherwise_and_the_rest_stays_and_is_told(tmp_path):
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"xray_traces_million": 50.0, "quotas": {"processing_ml.m5.large": 20}}))
    words = ["cost", "--endpoints", "10", "--prices", str(file)]
    told = CliRunner().invoke(cli, words).output
    assert "ok    SageMaker: ml.m5.large for processing job usage: 5 of 20" in told
    assert f"Here {file} says otherwise: quotas, xray_traces_million." in told
    own = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    plain = json.loads(CliRunner().invoke(cli, [*words[:3], "--json"]).output)
    lines = [{one["service"]: one["month"] for one in whole["lines"]} for whole in (own, plain)]
    assert {
        name: lines[0][name] / lines[1][name] for name in lines[0] if lines[0][name] != lines[1][name]
    } == {"X-Ray": pytest.approx(10)}


@pytest.mark.parametrize("number", range(len(month().quotas)))
def test_every_quota_is_one_of_the_table_or_our_own(number):
    none = estimate(
        Traffic(endpoints=1, predictions_per_day=1), {**TABLE, "quotas": dict.fromkeys(TABLE["quotas"], 0.1)}
    )
    assert none.quotas[number].default in {0.1, 10}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "is no JSON"),
        ("[]", "a JSON object"),
        ('{"xray_traces": 5}', "xray_traces"),
        ('{"xray_traces_million": "5"}', "xray_traces_million"),
        ('{"processing_hour": 0.2}', "processing_hour"),
        ('{"processing_hour": {"ml.m5.xlarge": "0.2"}}', "processing_hour.ml.m5.xlarge"),
        ('{"processing_hour": {"ml.m5.xlarge": null}}', "processing_hour.ml.m5.xlarge"),
        ('{"quotas": {"processing_ml.m5.large": "20"}}', "quotas.processing_ml.m5.large"),
        ('{"quotas": {"processing_ml.m5.lrage": 20}}', "quotas.processing_ml.m5.lrage"),
        ('{"quotas": {"processing_ml.m5.large": true}}', "quotas.processing_ml.m5.large"),
        ('{"quotas_as_of": "yesterday"}', "quotas_as_of"),
        ('{"s3_gb_month": -1}', "s3_gb_month"),
        ('{"s3_gb_month": NaN}', "s3_gb_month"),
        ('{"s3_gb_month": Infinity}', "s3_gb_month"),
        ('{"s3_gb_month": null}', "s3_gb_month"),
        ('{"s3_gb_month": 1' + "0" * 400 + "}", "from 0 to 1e12"),
        ('{"s3_gb_month": 1' + "0" * 5000 + "}", "is no JSON"),
    ],
)
def test_a_file_of_prices_that_is_none_is_refused_with_what_is_wrong(body, says, tmp_path):
    file = tmp_path / "prices.json"
    file.write_text(body)
    result = CliRunner().invoke(cli, ["cost", "--prices", str(file)])
    assert isinstance(result.exception, ConfigurationError)
    assert says in str(result.exception)


def test_counts_that_no_account_has_are_refused_and_the_most_that_are_taken_are_told():
    most, more = (
        CliRunner().invoke(
            cli,
            [
                "cost",
                *(
                    f"--{one}={number}"
                    for one in ("endpoints", "predictions-per-day", "instances", "incidents")
                ),
            ],
        )
        for number in (10**12, 10**12 + 1)
    )
    assert (most.exit_code, more.exit_code) == (0, 2)


def test_an_instance_that_the_table_does_not_know_is_named():
    result = CliRunner().invoke(cli, ["cost", "--job-instance", "ml.p5.48xlarge"])
    assert "ml.p5.48xlarge" in str(result.exception)
