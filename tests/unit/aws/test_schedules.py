"""What is asked of SageMaker about its monitoring schedules."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from sagewatch.aws.schedules import SageMakerSchedules

SINCE = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("failed", [True, False])
def test_executions_are_asked_for_that_failed_or_all_of_them(failed):
    client = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    asked = {
        "EndpointName": "signs", "ScheduledTimeAfter": SINCE, "SortBy": "ScheduledTime", "SortOrder": "Descending",
        "MaxResults": 100, **({"StatusEquals": "Failed"} if failed else {}),
    }  # fmt: skip
    with Stubber(client) as aws:
        aws.add_response("list_monitoring_executions", {"MonitoringExecutionSummaries": []}, asked)
        assert SageMakerSchedules(client).list_monitoring_executions("signs", SINCE, failed=failed) == []
        aws.assert_no_pending_responses()
