"""Which action each method of each port asks of AWS, and on which resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sagewatch import ports
from sagewatch.aws.elsewhere import name_reader
from sagewatch.monitors.receivers import PARAMETER_SCHEME

EVIDENCE, CAPTURED = "evidence", "captures"  # the buckets' names in the tests' worlds
LISTED = {"signs": "traffic-signs"}  # the tests' endpoint, as the packaged monitors.yml lists one for swaps
OWN, CAPTURES = "KmsKeyArn", "CaptureKmsKeyArn"
ANY_KEY = "arn:aws:kms:eu-west-1:123456789012:key/of-an-owner"
Asked = tuple[str, str]


class Told(NamedTuple):
    """What a call's resource depends on beside its arguments."""

    environment: dict[str, str]
    monitors: Any


def arn_of(told: Told, variable: str) -> str:
    """The ARN of the resource that the function is told of."""
    return f"arn:{told.environment[variable]}"


def s3(action, key, *uses) -> list[Asked]:
    """An S3 call; an object's bytes are under the key of its bucket."""
    kms = CAPTURES if key.startswith(f"{CAPTURED}/") else OWN
    keyed = [(f"kms:{use}", kms) for use in uses] if key.partition("/")[0] in {EVIDENCE, CAPTURED} else []
    return [(f"s3:{action}", f"arn:aws:s3:::{key}"), *keyed]


def open_object(_told, bucket, key):
    # Without the right to list, S3 says "forbidden" where an object is merely gone.
    return s3("GetObject", f"{bucket}/{key}", "Decrypt") + s3("ListBucket", bucket)


def put_object(_told, bucket, key, *_):
    return s3("PutObject", f"{bucket}/{key}", "GenerateDataKey")


def sagemaker(action, kind, name) -> list[Asked]:
    name = LISTED.get(name, name)
    return [(f"sagemaker:{action}", f"arn:aws:sagemaker:eu-west-1:123456789012:{kind}/{name}")]


def create(action, kind, name, request, role=None) -> list[Asked]:
    """Looked whether it is there, made, tagged; with the role that it shall have handed over."""
    made = sagemaker(f"Describe{action}", kind, name) + sagemaker(f"Create{action}", kind, name)
    tagged = sagemaker("AddTags", kind, name) if request.get("Tags") else []
    return made + tagged + ([("iam:PassRole", role)] if role else [])


def delete(action, kind, name) -> list[Asked]:
    return sagemaker(f"Describe{action}", kind, name) + sagemaker(f"Delete{action}", kind, name)


def update_endpoint(_told, name, config, _deployment):
    # What UpdateEndpoint asks for in its caller's name: volumes with a key, alarms that roll back.
    beside = [("kms:CreateGrant", ANY_KEY), ("cloudwatch:DescribeAlarms", "*")]
    return (
        sagemaker("UpdateEndpoint", "endpoint", name)
        + sagemaker("UpdateEndpoint", "endpoint-config", config)
        + beside
    )


def table(action) -> Callable[..., list[Asked]]:
    return lambda told, *_: [
        (f"dynamodb:{action}", arn_of(told, "STATE_TABLE")),
        ("kms:Decrypt", OWN),
    ]


def write_items(told, writes):
    # A table's writer is given both, as by the CDK's `grantWriteData`; AWS does not say that a reader's right is enough.
    return [*table("PutItem")(told), ("kms:GenerateDataKey", OWN)] if writes else []


def put_events(told, facts, _at):
    return [("events:PutEvents", arn_of(told, "EVENT_BUS"))] if facts else []


def topic(variable) -> Callable[..., list[Asked]]:
    return lambda told, *_: [
        ("sns:Publish", told.environment[variable]),
        ("kms:GenerateDataKey", OWN),
        ("kms:Decrypt", OWN),
    ]


def queue(variable) -> Callable[..., list[Asked]]:
    return lambda told, *_: [
        ("sqs:SendMessage", arn_of(told, variable)),
        ("kms:GenerateDataKey", OWN),
        ("kms:Decrypt", OWN),
    ]


def read_secret(name) -> list[Asked]:
    """A secret's ARN ends in six letters that nobody chooses. One may be under the stack's own key."""
    if name.startswith(PARAMETER_SCHEME):
        path = name.removeprefix(PARAMETER_SCHEME).lstrip("/")
        arn = f"arn:aws:ssm:eu-west-1:123456789012:parameter/{path}"
        return [("ssm:GetParameter", arn), ("kms:Decrypt", OWN)]
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf"
    return [("secretsmanager:GetSecretValue", arn), ("kms:Decrypt", OWN)]


def use_token(told, receiver, *_):
    return read_secret(told.monitors.slack_receivers[receiver].token)


def use_key(told, target, *_):
    name, _, channel = target.rpartition("/")
    return read_secret(getattr(getattr(told.monitors.receivers[name], channel), KEYS[channel]))


KEYS = {"pagerduty": "key", "slack_webhook": "url", "webhook": "secret"}


def send_letter(_told, _receiver, sender, *_):
    arn = f"arn:aws:ses:eu-west-1:123456789012:identity/{sender}"
    return [("ses:SendEmail", arn), ("ses:SendRawEmail", arn)]


def ask_schedules(action) -> Callable[..., list[Asked]]:
    return lambda *_: [(f"sagemaker:{action}", "*")]  # lists know no resources


def assume_reader(told, place, _name):
    return [("sts:AssumeRole", name_reader(place, "aws", told.environment["SPOKE_READER"]))]


CALLS: dict[type, dict[str, Callable[..., list[Asked]]]] = {
    ports.Objects: {
        "open_object": open_object,
        "put_object": put_object,
        "create_object": put_object,
        "list_objects": lambda _, bucket, __: s3("ListBucket", bucket),
        "describe_objects": lambda _, bucket, __: s3("ListBucket", bucket),
        "list_after": lambda _, bucket, *__: s3("ListBucket", bucket),
        "presign": lambda _, bucket, key, __: s3("GetObject", f"{bucket}/{key}", "Decrypt"),
    },
    ports.Items: {"get": table("GetItem"), "query": table("Query"), "write": write_items, "delete": table("DeleteItem")},
    ports.Bus: {"publish": put_events},
    ports.Hosting: {
        "describe_endpoint": lambda _, name: sagemaker("DescribeEndpoint", "endpoint", name),
        "describe_endpoint_config": lambda _, name: sagemaker("DescribeEndpointConfig", "endpoint-config", name),
        "describe_model": lambda _, name: sagemaker("DescribeModel", "model", name),
        "list_tags": lambda _, arn: [("sagemaker:ListTags", arn)],
        "create_model": lambda told, row: create("Model", "model", row["ModelName"], row, told.environment["EXPLAIN_ROLE_ARN"]),
        "create_endpoint_config": lambda _, row: create("EndpointConfig", "endpoint-config", row["EndpointConfigName"], row),
        "update_endpoint": update_endpoint,
        "delete_endpoint_config": lambda _, name: delete("EndpointConfig", "endpoint-config", name),
        "delete_model": lambda _, name: delete("Model", "model", name),
    },
    ports.Jobs: {
        "create_processing_job": lambda told, row: create(
            "ProcessingJob", "processing-job", row["ProcessingJobName"], row, told.environment["EXPLAIN_ROLE_ARN"]
        ),
        "describe_processing_job": lambda _, name: sagemaker("DescribeProcessingJob", "processing-job", name),
        "stop_processing_job": lambda _, name: [
            *sagemaker("DescribeProcessingJob", "processing-job", name), *sagemaker("StopProcessingJob", "processing-job", name),
        ],
    },
    ports.JobsElsewhere: {"describe_job_at": assume_reader},
    ports.Schedules: {
        "list_monitoring_executions": ask_schedules("ListMonitoringExecutions"),
        "list_monitoring_schedules": ask_schedules("ListMonitoringSchedules"),
    },
    ports.Mail: {"publish_mail": topic("ALERTS_TOPIC_ARN"), "publish_chat": topic("CHAT_TOPIC_ARN")},
    ports.Letters: {"send_letter": send_letter},
    ports.Chat: dict.fromkeys(("upload_pictures", "reply", "post_message", "update_message"), use_token),
    ports.Hooks: {"post_hook": use_key},
    ports.Wakeups: {"wake": queue("ALERT_QUEUE_URL"), "give_up": queue("ALERT_DEAD_LETTERS_URL")},
}  # fmt: skip
"""Of each port what its methods ask of AWS."""
