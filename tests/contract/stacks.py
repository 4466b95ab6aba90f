"""Small stacks for the tests of `make deploy` and `make remove`, and what stands in osls' place."""

from __future__ import annotations

import json

TABLE = {
    "TableName": "sagewatch-dev-state",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
BUCKET = {"BucketName": {"Fn::Sub": "sagewatch-dev-evidence-${AWS::AccountId}-${AWS::Region}"}}


def small(**queue):
    """A stack with data and something to change."""
    return {
        "Resources": {
            "StateTable": {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": TABLE},
            "EvidenceBucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": BUCKET},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q", **queue}},
        }
    }


class Osls:
    """In osls' place: keeps what it was asked, and stands the stack up."""

    def __init__(self, answer=0):
        self.commands, self.answer = [], answer

    def __call__(self, command, told=None):
        self.commands.append((list(command[1:]), told))
        return self.answer


def stand(aws, template):
    aws.client("cloudformation").create_stack(StackName="sagewatch-dev", TemplateBody=json.dumps(template))


REFUSED = "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: it"


def swapping(*endpoints):
    """A stack whose role may move the endpoints, as resources/endpoints.js writes it."""
    arns = [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:sagemaker:${{AWS::Region}}:${{AWS::AccountId}}:endpoint/{one}"}
        for one in endpoints
    ]
    statement = {"Effect": "Allow", "Action": "sagemaker:UpdateEndpoint", "Resource": arns}
    if not endpoints:
        statement = {"Effect": "Deny", "Action": "sagemaker:UpdateEndpoint", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
        "Policies": [{"PolicyName": "p", "PolicyDocument": document}],
    }
    return {"Resources": {**small()["Resources"], "Role": {"Type": "AWS::IAM::Role", "Properties": role}}}


def hook_endpoint(aws, stage="dev"):
    """The endpoint Signs, recording for the stack of that stage."""
    sagemaker = aws.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/SageMaker"
    bucket = f"sagewatch-{stage}-evidence-123456789012-eu-west-1"
    container = {"Image": "i", "Environment": {"TENSORS_OUTPUT": f"s3://{bucket}/tensors/x"}}
    sagemaker.create_model(ModelName="sagewatch-hooked-x", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for config, model in (("own", "m"), ("sagewatch-hooked-x", "sagewatch-hooked-x")):
        variants = [{**variant, "ModelName": model}]
        if model == "m":
            sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=role)
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="calm", EndpointConfigName="own")
    sagemaker.create_endpoint(EndpointName="Signs", EndpointConfigName="sagewatch-hooked-x")
