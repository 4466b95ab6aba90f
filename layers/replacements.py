"""Which changes CloudFormation makes by another resource in the old one's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from layers.template_changes import Path

REPLACES: Final[Mapping[str, frozenset[str]]] = {
    "AWS::CloudWatch::Alarm": frozenset({"AlarmName"}),
    "AWS::CloudWatch::CompositeAlarm": frozenset({"AlarmName"}),
    "AWS::CloudWatch::Dashboard": frozenset({"DashboardName"}),
    "AWS::DynamoDB::Table": frozenset({"ImportSourceSpecification", "KeySchema", "TableName"}),
    "AWS::Events::Archive": frozenset({"ArchiveName", "SourceArn"}),
    "AWS::Events::EventBus": frozenset({"Name"}),
    "AWS::Events::EventBusPolicy": frozenset({"EventBusName", "StatementId"}),
    "AWS::Events::Rule": frozenset({"EventBusName", "Name"}),
    "AWS::IAM::ManagedPolicy": frozenset({"Description", "ManagedPolicyName", "Path"}),
    "AWS::IAM::Role": frozenset({"Path", "RoleName"}),
    "AWS::Lambda::EventSourceMapping": frozenset(
        {"EventSourceArn", "SelfManagedEventSource", "StartingPosition", "StartingPositionTimestamp"}
    ),
    "AWS::Lambda::Function": frozenset({"DurableConfig", "FunctionName", "PackageType", "TenancyConfig"}),
    "AWS::Lambda::LayerVersion": frozenset(
        {"CompatibleArchitectures", "CompatibleRuntimes", "Content", "Description", "LayerName", "LicenseInfo"}
    ),
    "AWS::Lambda::Permission": frozenset(
        {
            "Action", "EventSourceToken", "FunctionName", "FunctionUrlAuthType", "InvokedViaFunctionUrl", "Principal",
            "PrincipalOrgID", "SourceAccount", "SourceArn",
        }
    ),
    "AWS::Lambda::Url": frozenset({"Qualifier", "TargetFunctionArn"}),
    "AWS::Logs::LogGroup": frozenset({"LogGroupName"}),
    "AWS::Logs::QueryDefinition": frozenset(),
    "AWS::S3::Bucket": frozenset({"BucketName", "BucketNamePrefix", "BucketNamespace"}),
    "AWS::S3::BucketPolicy": frozenset({"Bucket"}),
    "AWS::SNS::Subscription": frozenset({"Endpoint", "Protocol", "Region", "TopicArn"}),
    "AWS::SNS::Topic": frozenset({"FifoTopic", "TopicName"}),
    "AWS::SNS::TopicPolicy": frozenset(),
    "AWS::SQS::Queue": frozenset({"FifoQueue", "QueueName"}),
    "AWS::SQS::QueuePolicy": frozenset(),
    "AWS::Scheduler::Schedule": frozenset({"Name"}),
    "AWS::Scheduler::ScheduleGroup": frozenset({"Name"}),
}  # fmt: skip
"""Properties of which CloudFormation changes none: it makes another resource and deletes the old one with what is in it.

Source: ``createOnlyProperties`` and ``conditionalCreateOnlyProperties`` of CloudFormation's registry, which a test compares with these
for every type that the template has. What is replaced under a condition alone is told as replaced.
"""
_PROPERTY = 3  # a path goes: Resources, name, Properties, property


def is_replaced(path: Path, standing: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    """Whether another resource takes the place of the one in which the leaf at that path is another."""
    if path[0] != "Resources":
        return False
    rows = [one.get("Resources", {}).get(path[1]) for one in (standing, template)]
    if None in rows:
        return False  # it goes or comes as a whole
    if path[2:] == ("Type",):
        return True
    return (
        len(path) > _PROPERTY
        and path[2] == "Properties"
        and path[_PROPERTY] in REPLACES.get(rows[1]["Type"], ())
    )
