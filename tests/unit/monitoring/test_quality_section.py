"""`quality:` of monitors.yml: what it means when little is said, and how mistakes are told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.monitoring.policy import Quality
from sagewatch.monitors import dump_monitors, load_monitors, parse_monitors


def parse(quality):
    text = f"version: 1\nendpoints:\n  churn:\n    quality: {quality}\n"
    return parse_monitors(text, "monitors.yml")


def test_a_baseline_is_enough():
    assert parse("{baseline: s3://b/base/}").endpoints["churn"].quality == Quality(baseline="s3://b/base")


def test_everything_is_read_and_survives_compilation():
    monitors = parse("{every: 6h, scheduler: model-monitor, baseline: s3://b/base, mode: compat}")
    quality = load_monitors(dump_monitors(monitors), "monitors.json").endpoints["churn"].quality
    assert quality == Quality(
        baseline="s3://b/base", every=timedelta(hours=6), scheduler="model-monitor", mode="compat"
    )


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ("{every: 1h}", "quality.baseline: must say where statistics.json"),
        ("{baseline: /tmp/base}", "quality.baseline: must be an S3 prefix"),
        ("{baseline: s3://b, every: 7m}", "quality.every: must divide the hour"),
        ("{baseline: s3://b, every: 5h}", "quality.every: must divide the hour"),
        (
            "{baseline: s3://b, every: 15m, scheduler: model-monitor}",
            "quality.every: SageMaker's schedules run",
        ),
        ("{baseline: s3://b, scheduler: cron}", "quality.scheduler: must be eventbridge or model-monitor"),
        ("{baseline: s3://b, mode: aws}", "quality.mode: must be exact or compat"),
        ("{baselines: s3://b}", "did you mean baseline?"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(quality, message):
    with pytest.raises(ConfigurationError) as told:
        parse(quality)
    assert "line 4" in str(told.value)
    assert message in str(told.value)
