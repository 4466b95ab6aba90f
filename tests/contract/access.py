"""A world whose S3 and SageMaker refuse what the compiled role of a function does not allow: action and resource."""

from __future__ import annotations

import dataclasses
import fnmatch
import re

NAMES = {"EvidenceBucket": "evidence", "CaptureBucket": "captures"}
HERE = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
LISTED = {"signs": "traffic-signs"}  # the tests' endpoint, as the packaged monitors.yml lists one for swaps


def resolve(value):
    """A value of a template as CloudFormation writes it out, with every condition true."""
    if isinstance(value, list):
        return [resolve(one) for one in value]
    if not isinstance(value, dict):
        return value
    ((name, inner),) = value.items()
    if name == "Ref":
        return HERE.get(inner) or NAMES.get(inner, inner)
    if name == "Fn::GetAtt":
        owner = inner[0] if isinstance(inner, list) else inner.split(".")[0]
        return f"arn:aws:s3:::{NAMES[owner]}" if owner in NAMES else f"arn:{owner}"
    if name == "Fn::If":
        return resolve(inner[1])
    if name == "Fn::Split":
        return resolve(inner[1]).split(inner[0])
    text, given = inner if isinstance(inner, list) else (inner, {})
    known = {**HERE, **{key: resolve(one) for key, one in given.items()}}
    known |= {f"{owner}.Arn": f"arn:aws:s3:::{bucket}" for owner, bucket in NAMES.items()}
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(known.get(found[1], found[1])), text)


def allows(role, action, arn):
    """Whether a statement of the role allows the action on the resource."""
    for policy in role["Policies"]:
        for row in policy["PolicyDocument"]["Statement"]:
            statement = row["Fn::If"][1] if "Fn::If" in row else row
            actions, resources = (
                one if isinstance(one, list) else [one]
                for one in (statement["Action"], resolve(statement["Resource"]))
            )
            if (
                statement["Effect"] == "Allow"
                and action in actions
                and any(fnmatch.fnmatchcase(arn, one) for one in resources)
            ):
                return True
    return False


class Guarded:
    """A port of the memory world in front of which the role stands."""

    def __init__(self, port, role, asked):
        self._port, self._role, self._asked = port, role, asked

    def __getattr__(self, name):
        inner = getattr(self._port, name)
        if name not in CALLS:
            return inner

        def call(*args, **named):
            for action, arn in CALLS[name](*args, **named):
                self._asked.append((action, arn))
                assert allows(self._role, action, arn), f"{action} on {arn}: AccessDenied"
            return inner(*args, **named)

        return call


def guard(world, role, asked):
    """The world as a function with that role finds it; what it asks for is appended to ``asked``."""
    ports = {name: Guarded(getattr(world, name), role, asked) for name in ("objects", "hosting", "jobs")}
    return dataclasses.replace(world, **ports)


def s3(action, key):
    return [(f"s3:{action}", f"arn:aws:s3:::{key}")]


def sagemaker(action, kind, name):
    return [
        (f"sagemaker:{action}", f"arn:aws:sagemaker:eu-west-1:123456789012:{kind}/{LISTED.get(name, name)}")
    ]


CALLS = {
    "open_object": lambda bucket, key: s3("GetObject", f"{bucket}/{key}") + s3("ListBucket", bucket),
    "put_object": lambda bucket, key, *_: s3("PutObject", f"{bucket}/{key}"),
    "create_object": lambda bucket, key, *_: s3("PutObject", f"{bucket}/{key}"),
    "list_objects": lambda bucket, _: s3("ListBucket", bucket),
    "describe_objects": lambda bucket, _: s3("ListBucket", bucket),
    "presign": lambda bucket, key, _: s3("GetObject", f"{bucket}/{key}"),
    "describe_endpoint": lambda name: sagemaker("DescribeEndpoint", "endpoint", name),
    "describe_endpoint_config": lambda name: sagemaker("DescribeEndpointConfig", "endpoint-config", name),
    "describe_model": lambda name: sagemaker("DescribeModel", "model", name),
    "create_model": lambda request: sagemaker("CreateModel", "model", request["ModelName"]),
    "create_endpoint_config": lambda request: sagemaker(
        "CreateEndpointConfig", "endpoint-config", request["EndpointConfigName"]
    ),
    "update_endpoint": lambda name, config, _: [
        *sagemaker("UpdateEndpoint", "endpoint", name), *sagemaker("UpdateEndpoint", "endpoint-config", config),
    ],
    "delete_endpoint_config": lambda name: sagemaker("DeleteEndpointConfig", "endpoint-config", name),
    "delete_model": lambda name: sagemaker("DeleteModel", "model", name),
    "create_processing_job": lambda request: sagemaker(
        "CreateProcessingJob", "processing-job", request["ProcessingJobName"]
    ),
    "describe_processing_job": lambda name: sagemaker("DescribeProcessingJob", "processing-job", name),
    "stop_processing_job": lambda name: sagemaker("StopProcessingJob", "processing-job", name),
}  # fmt: skip
