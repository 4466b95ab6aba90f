"""A schedule, as a request to SageMaker (CreateMonitoringSchedule) or to EventBridge Scheduler (CreateSchedule)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from sagewatch.errors import ConfigurationError
from sagewatch.job_security import secure_job
from sagewatch.monitoring.job import ENDPOINT_DATA, ENTRYPOINT, MODE, OUTPUT, Image
from sagewatch.monitoring.policy import DAY, Quality, name_monitoring_schedule, name_schedule
from sagewatch.monitoring.window import HOUR, SETTLE

DUE: Final = "Monitor Due"
_MINUTE: Final = timedelta(minutes=1)


def build_monitoring_schedule(
    endpoint: str, quality: Quality, image: Image, reports_uri: str, stage: str = ""
) -> dict[str, Any]:
    """The request that makes a SageMaker monitoring schedule with our image, for a stage of the account.

    Raises
    ------
    ConfigurationError
        SageMaker has no schedule of that rhythm.
    """
    baseline = quality.baseline.rstrip("/")
    definition = {
        "BaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{baseline}/constraints.json"},
            "StatisticsResource": {"S3Uri": f"{baseline}/statistics.json"},
        },
        "MonitoringInputs": [
            {
                "EndpointInput": {
                    "EndpointName": endpoint,
                    "LocalPath": ENDPOINT_DATA,
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                }
            }
        ],
        "MonitoringOutputConfig": {
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": reports_uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}}
            ]
        },
        "MonitoringResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": image.instance_type,
                "VolumeSizeInGB": image.volume_gigabytes,
            }
        },
        "MonitoringAppSpecification": {"ImageUri": image.image_uri, "ContainerEntrypoint": list(ENTRYPOINT)},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "Environment": {"publish_cloudwatch_metrics": "Enabled", MODE: quality.mode},
        "RoleArn": image.role_arn,
    }
    return {
        "MonitoringScheduleName": name_monitoring_schedule(endpoint, stage),
        "MonitoringScheduleConfig": {
            "ScheduleConfig": {"ScheduleExpression": build_sagemaker_cron(quality.every)},
            "MonitoringJobDefinition": secure_job(definition, image.security, "Monitoring"),
            "MonitoringType": "DataQuality",
        },
    }


def build_wake_up(
    endpoint: str, quality: Quality, *, group: str, queue_arn: str, role_arn: str
) -> dict[str, Any]:
    """The request that makes an EventBridge schedule, which tells ``start_monitor`` that a window is over.

    Raises
    ------
    ConfigurationError
        Windows of that length do not divide the day.
    """
    message = {
        "source": "sagewatch",
        "detail-type": DUE,
        # The scheduler fills this in.
        "time": "<aws.scheduler.scheduled-time>",
        "detail": {"endpoint": endpoint},
    }
    return {
        "Name": name_schedule(endpoint),
        "GroupName": group,
        "Description": f"Sagewatch looks at the data of {endpoint}",
        "ScheduleExpression": build_scheduler_cron(quality.every),
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": {
            "Arn": queue_arn,
            "RoleArn": role_arn,
            "Input": json.dumps(message, separators=(",", ":")),
            # Later than a window, the next one is due.
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": min(86400, int(quality.every.total_seconds())),
                "MaximumRetryAttempts": 10,
            },
        },
    }


def build_sagemaker_cron(every: timedelta) -> str:
    """SageMaker's schedules are hourly, every so many hours, or daily.

    Examples
    --------
    >>> build_sagemaker_cron(timedelta(hours=1)), build_sagemaker_cron(timedelta(hours=6))
    ('cron(0 * ? * * *)', 'cron(0 0/6 ? * * *)')
    """
    hours, rest = divmod(every, HOUR)
    if rest or not hours or every > DAY or DAY % every:
        reason = "SageMaker's schedules run every 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d; eventbridge runs oftener"
        raise ConfigurationError(reason, where="monitors.yml", key="quality.every")
    if hours == 1:
        return "cron(0 * ? * * *)"
    return "cron(0 0 ? * * *)" if every == DAY else f"cron(0 0/{hours} ? * * *)"


def build_scheduler_cron(every: timedelta) -> str:
    """When EventBridge Scheduler is to wake us: ten minutes after each window, when its captures are in.

    Examples
    --------
    >>> build_scheduler_cron(timedelta(hours=1)), build_scheduler_cron(timedelta(minutes=15))
    ('cron(10 * * * ? *)', 'cron(10/15 * * * ? *)')
    """
    minutes, rest = divmod(every, _MINUTE)
    if rest or not minutes or every > DAY or DAY % every or (every < HOUR and HOUR % every):
        reason = "must divide the hour, or be whole hours that divide the day, such as 15m, 1h, 6h or 1d"
        raise ConfigurationError(reason, where="monitors.yml", key="quality.every")
    settle = SETTLE // _MINUTE
    if every < HOUR:
        return f"cron({settle % minutes}/{minutes} * * * ? *)"
    if every == HOUR:
        return f"cron({settle} * * * ? *)"
    return f"cron({settle} 0 * * ? *)" if every == DAY else f"cron({settle} 0/{every // HOUR} * * ? *)"
