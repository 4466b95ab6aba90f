"""One local AWS for all tests here, with a small stack on it: starting one takes five seconds."""

from __future__ import annotations

import io
import json
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.sandbox.local_aws import LocalAws
from sagewatch.sandbox.queue_poller import WorkerSettings
from sagewatch.sandbox.sagemaker.service import SageMakerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROLE = "arn:aws:iam::123456789012:role/sagemaker-test"
INFERENCE = """
import json, os, sys
from sagemaker_inference.errors import BaseInferenceToolkitError

def model_fn(model_dir):
    if os.environ.get("NEVER_LOADS"):
        sys.exit("the model is broken")
    return os.environ.get("NAME", "nobody")

def transform_fn(model, data, content_type, accept):
    if content_type not in ("application/x-npy", "text/csv", "application/json"):
        raise BaseInferenceToolkitError(415, f"{content_type} is not accepted", "Unsupported Media Type")
    return json.dumps([[14, 0.98, model, os.getpid()]]), "application/json"
"""
HANDLER = """
import json, os, time

def handler(event, context):
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{"Namespace": "Test",
        "Dimensions": [["service"]], "Metrics": [{"Name": "Batches", "Unit": "Count"}]}]},
        "service": "small", "Batches": 1}))
    failures = []
    for record in event["Records"]:
        body = record["body"]
        if body == "raise":
            raise ValueError("the handler was told to raise")
        if body == "die":
            os._exit(3)
        if body == "hang":
            time.sleep(60)
        if body == "call out":
            import socket
            socket.create_connection(("192.0.2.1", 80), timeout=1)
        if body == "fail":
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(json.dumps({"body": body, "count": record["attributes"]["ApproximateReceiveCount"],
                "batch": len(event["Records"]), "table": os.environ["TABLE"],
                "left": context.get_remaining_time_in_millis()}) + "\\n")
    return {"batchItemFailures": failures}
"""


def function_of(seen: Path, **properties: Any) -> dict[str, Any]:
    """A function as osls compiles it."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": "nobody-uploads", "S3Key": "serverless/x/small.zip"},
            "Handler": "functions/small/handler.handler",
            "Runtime": "python3.13",
            "FunctionName": "small",
            "MemorySize": 256,
            "Timeout": 1,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Environment": {"Variables": {"TABLE": {"Ref": "Table"}, "SEEN": str(seen)}},
            **properties,
        },
    }


def small_template(seen: Path) -> dict[str, Any]:
    """A stack with one of each thing that Sagewatch's own stack has."""
    return {
        "Resources": {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "BucketName": "captures",
                    "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
                    "VersioningConfiguration": {"Status": "Enabled"},
                },
            },
            "BucketPolicy": {
                "Type": "AWS::S3::BucketPolicy",
                "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": []}},
            },
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "TableName": "state",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                },
            },
            "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "dead"}},
            "Queue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {
                    "QueueName": "work",
                    "VisibilityTimeout": 30,
                    "RedrivePolicy": {
                        "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                        "maxReceiveCount": 2,
                    },
                },
            },
            "Watched": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "watched"}},
            "WatchedPolicy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {"Queues": [{"Ref": "Watched"}], "PolicyDocument": {"Statement": []}},
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {
                        "source": ["aws.s3", "aws.sagemaker"],
                        "detail-type": [
                            "Object Created",
                            "SageMaker Endpoint State Change",
                            "SageMaker Processing Job State Change",
                        ],
                    },
                    "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Watched", "Arn"]}}],
                },
            },
            "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "facts"}},
            "Archive": {
                "Type": "AWS::Events::Archive",
                "Properties": {
                    "SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]},
                    "EventPattern": {"source": ["small"]},
                    "RetentionDays": 1,
                },
            },
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alerts"}},
            "Mail": {
                "Type": "AWS::SNS::Subscription",
                "Properties": {
                    "TopicArn": {"Ref": "Topic"},
                    "Protocol": "email",
                    "Endpoint": "on-call@example.com",
                },
            },
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": "small/token", "SecretString": "xoxb-local"},
            },
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/small/x", "Type": "String", "Value": "1"},
            },
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "AlarmName": "dead",
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateNumberOfMessagesVisible",
                    "Statistic": "Maximum",
                    "Period": 60,
                    "EvaluationPeriods": 1,
                    "Threshold": 0,
                    "ComparisonOperator": "GreaterThanThreshold",
                },
            },
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": ["lambda.amazonaws.com"]},
                                "Action": ["sts:AssumeRole"],
                            }
                        ],
                    }
                },
            },
            "SmallLambdaFunction": function_of(seen),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "BatchSize": 5,
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Fn::GetAtt": ["SmallLambdaFunction", "Arn"]},
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                    "MaximumBatchingWindowInSeconds": 1,
                },
            },
            "Schedule": {
                "Type": "AWS::Scheduler::Schedule",
                "Properties": {
                    "Name": "every-minute",
                    "ScheduleExpression": "rate(1 hour)",
                    "FlexibleTimeWindow": {"Mode": "OFF"},
                    "Target": {
                        "Arn": {"Fn::GetAtt": ["Queue", "Arn"]},
                        "RoleArn": "arn:aws:iam::123456789012:role/schedule",
                        "Input": "tick <aws.scheduler.scheduled-time>",
                    },
                },
            },
        },
        "Outputs": {
            "BucketName": {"Value": {"Ref": "Bucket"}},
            "QueueUrl": {"Value": {"Ref": "Queue"}},
            "TopicArn": {"Value": {"Ref": "Topic"}},
            "BusArn": {"Value": {"Fn::GetAtt": ["Bus", "Arn"]}},
        },
    }


def write_package(directory: Path, template: dict[str, Any], handler: str = HANDLER) -> tuple[Path, Path]:
    """What `osls package` leaves behind: the compiled template, and the directory of packages."""
    directory.mkdir(parents=True, exist_ok=True)
    compiled = directory / "cloudformation-template-update-stack.json"
    compiled.write_text(json.dumps(template))
    with zipfile.ZipFile(directory / "small.zip", "w") as package:
        package.writestr("functions/small/handler.py", handler)
    return compiled, directory


PROGRAM = """
import json, os, pathlib, sys
root = pathlib.Path(os.environ["CONTAINER_ROOT"])
config = json.loads((root / "opt/ml/config/processingjobconfig.json").read_text())
host = json.loads((root / "opt/ml/config/resourceconfig.json").read_text())["current_host"]
files = sorted(p.relative_to(root / "opt/ml/processing").as_posix()
               for p in (root / "opt/ml/processing/input").rglob("*") if p.is_file())
(root / "opt/ml/processing/output/deep").mkdir()
(root / "opt/ml/processing/output/deep/report.json").write_text(json.dumps(
    {"config": config, "host": host, "files": files, "wish": os.environ["WISH"], "arguments": sys.argv[1:]}))
if os.environ["WISH"] == "call the platform":
    import boto3
    boto3.client("s3", region_name="eu-west-1").list_buckets()
if os.environ["WISH"] == "call out":
    import urllib.request
    urllib.request.urlopen("http://example.com", timeout=2)
(root / "opt/ml/output/message").write_text("Completed: all is well." if os.environ["WISH"] != "fail" else "no tensors")
sys.exit(0 if os.environ["WISH"] != "fail" else 1)
"""


@pytest.fixture(scope="session")
def seen_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("seen") / "seen.jsonl"
    path.touch()
    return path


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, seen_file: Path) -> Iterator[LocalAws]:
    directory = tmp_path_factory.mktemp("local-aws")
    programs = tmp_path_factory.mktemp("programs")
    (programs / "explain.py").write_text(PROGRAM)
    local = LocalAws(
        directory / "sandbox",
        worker=WorkerSettings(retry_seconds=1, speed_up=1.0),
        sagemaker=SageMakerSettings(
            capture_flush_records=5, capture_flush_seconds=60, startup_timeout_seconds=20, programs=programs
        ),
    )
    with local:
        local.deploy(*write_package(directory / "package", small_template(seen_file)))
        local.start_functions()
        yield local


@pytest.fixture
def seen(aws: LocalAws, seen_file: Path) -> Callable[[], list[dict[str, Any]]]:
    """What the function has seen since the test began."""
    assert aws.worker.wait_until_idle(20, quiet_seconds=0.2)
    before = len(seen_file.read_text().splitlines())
    return lambda: [json.loads(line) for line in seen_file.read_text().splitlines()[before:]]


def eventually(condition: Callable[[], Any], timeout_seconds: float = 20.0) -> Any:
    """What the condition returns once it is true; its last value when the time is up."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.1)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


def upload_model(aws: LocalAws, key: str, inference: str = INFERENCE) -> str:
    """A model.tar.gz on S3."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(inference.encode())
        archive.addfile(member, io.BytesIO(inference.encode()))
    s3 = aws.client("s3")
    s3.put_object(Bucket="captures", Key=f"models/{key}", Body=data.getvalue())
    return f"s3://captures/models/{key}"


class Endpoints:
    """Makes models, configs and endpoints for tests, under a test's own names."""

    def __init__(self, aws: LocalAws, prefix: str) -> None:
        self.aws = aws
        self.prefix = prefix
        self.sagemaker = aws.client("sagemaker")
        self.url = upload_model(aws, f"{prefix}/model.tar.gz")

    def config(self, name: str, *, sampling: int = 100, weight: float = 1.0, **environment: str) -> str:
        """A config (and its model) that captures, named after the test."""
        full = f"{self.prefix}-{name}"
        self.sagemaker.create_model(
            ModelName=full,
            PrimaryContainer={
                "Image": "pytorch-inference",
                "ModelDataUrl": self.url,
                "Environment": {"NAME": name, **environment},
            },
            ExecutionRoleArn=ROLE,
        )
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=full,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": full,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": weight,
                }
            ],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": sampling,
                "DestinationS3Uri": "s3://captures/capture/",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {
                    "CsvContentTypes": ["text/csv"],
                    "JsonContentTypes": ["application/json"],
                },
            },
        )
        return full

    def create(self, config: str) -> str:
        """An endpoint, InService."""
        self.sagemaker.create_endpoint(EndpointName=self.prefix, EndpointConfigName=config)
        assert self.settle()["EndpointStatus"] == "InService"
        return self.prefix

    def describe(self) -> dict[str, Any]:
        return self.sagemaker.describe_endpoint(EndpointName=self.prefix)

    def settle(self) -> dict[str, Any]:
        """The endpoint once it has stopped changing."""
        return eventually(
            lambda: d if (d := self.describe())["EndpointStatus"] not in {"Creating", "Updating"} else None,
            60,
        )

    def invoke(
        self, body: bytes = b"x", content_type: str = "application/x-npy", **more: Any
    ) -> dict[str, Any]:
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.prefix, Body=body, ContentType=content_type, **more
        )
        return {"class": json.loads(answer["Body"].read())[0], "variant": answer["InvokedProductionVariant"]}

    def captured(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Key and lines of each capture file of the endpoint."""
        self.aws.sagemaker.captures.flush(self.prefix)
        s3 = self.aws.client("s3")
        listed = s3.list_objects_v2(Bucket="captures", Prefix=f"capture/{self.prefix}/").get("Contents", [])
        bodies = {
            item["Key"]: s3.get_object(Bucket="captures", Key=item["Key"])["Body"].read() for item in listed
        }
        return [(key, [json.loads(line) for line in body.splitlines()]) for key, body in bodies.items()]


@pytest.fixture
def endpoints(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[Endpoints]:
    made = Endpoints(
        aws, "".join(c if c.isalnum() else "-" for c in request.node.name)[5:].strip("-")[-40:].strip("-")
    )
    yield made
    aws.faults.clear()
    try:
        made.settle()
        made.sagemaker.delete_endpoint(EndpointName=made.prefix)
    except ClientError:
        return  # the test made none, or deleted it itself


@pytest.fixture
def watched(aws: LocalAws) -> Callable[..., list[dict[str, Any]]]:
    """Events of the default bus that mention a text; read ones are kept for later calls."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="watched")["QueueUrl"]
    kept: list[dict[str, Any]] = []

    def read(text: str) -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                kept.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in kept if text in json.dumps(event)]

    return read
