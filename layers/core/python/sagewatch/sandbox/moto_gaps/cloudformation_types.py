"""CloudFormation types that moto skips silently: subscriptions, policies, alarms, secrets, schedules.

moto finds types as DIRECT subclasses of CloudFormationModel in a dotted module (its metaclass splits the
module's name). AWS::S3::BucketPolicy stays unimplemented on purpose: a policy that denies insecure transport
would refuse every call to a local http endpoint.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, ClassVar

from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.scheduler.models import scheduler_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

SUBSCRIPTION_ATTRIBUTES = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")


class Created:
    """What every filled-in type has in common: an id, perhaps some attributes, nothing to delete."""

    TYPE: ClassVar[str]
    NAME_PROPERTY: ClassVar[str] = ""
    ATTRIBUTES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, physical_id: str, **attributes: str) -> None:
        self.physical_resource_id = physical_id
        self.attributes = attributes

    @classmethod
    def cloudformation_type(cls) -> str:
        """The type's name in a template."""
        return cls.TYPE

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """The property that names a resource of this type."""
        return cls.NAME_PROPERTY

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether Fn::GetAtt knows the attribute."""
        return attr in cls.ATTRIBUTES

    def get_cfn_attribute(self, attribute: str) -> str:
        """What Fn::GetAtt answers."""
        return self.attributes[attribute]

    def is_created(self) -> bool:
        """At once: nothing here takes time."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        """Create the resource in moto's own backend."""
        return cls.create(resource_name, dict(cloudformation_json["Properties"]), account_id, region_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,  # noqa: ARG003  moto passes it by name
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        """Write it again under its old name."""
        name = original_resource.physical_resource_id
        return cls.create(name, dict(cloudformation_json["Properties"]), account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
        """The whole moto ends with the sandbox."""

    @classmethod
    @abstractmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Make one; each type does."""


class Subscription(Created, CloudFormationModel):  # type: ignore[misc]
    """A subscription to a topic."""

    TYPE = "AWS::SNS::Subscription"

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:  # noqa: ARG003
        """Subscribe, with filter policy and raw delivery."""
        backend = sns_backends[account][region]
        subscription = backend.subscribe(
            properties["TopicArn"], properties["Endpoint"], properties["Protocol"]
        )
        for key in SUBSCRIPTION_ATTRIBUTES:
            if key in properties:
                value = properties[key]
                text = value if isinstance(value, str) else json.dumps(value)
                backend.set_subscription_attributes(subscription.arn, key, text)
        return cls(subscription.arn)


class QueuePolicy(Created, CloudFormationModel):  # type: ignore[misc]
    """Who may send to queues. Kept, as moto enforces none."""

    TYPE = "AWS::SQS::QueuePolicy"

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Put the policy on each queue; a queue is named by its URL."""
        for url in properties["Queues"]:
            sqs_backends[account][region].set_queue_attributes(
                url.rsplit("/", 1)[-1], {"Policy": json.dumps(properties["PolicyDocument"])}
            )
        return cls(name)


class TopicPolicy(Created, CloudFormationModel):  # type: ignore[misc]
    """Who may publish to topics. Kept, as moto enforces none."""

    TYPE = "AWS::SNS::TopicPolicy"

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Put the policy on each topic."""
        for arn in properties["Topics"]:
            sns_backends[account][region].set_topic_attribute(
                arn, "Policy", json.dumps(properties["PolicyDocument"])
            )
        return cls(name)


class EventBusPolicy(Created, CloudFormationModel):  # type: ignore[misc]
    """Who may put events on a bus. Accepted; moto enforces none."""

    TYPE = "AWS::Events::EventBusPolicy"

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:  # noqa: ARG003
        """Accept it."""
        return cls(name)


class MetricAlarm(Created, CloudFormationModel):  # type: ignore[misc]
    """An alarm. moto never evaluates it; it can be described."""

    TYPE = "AWS::CloudWatch::Alarm"
    NAME_PROPERTY = "AlarmName"
    ATTRIBUTES = ("Arn",)

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Put the alarm by moto's own call."""
        alarm = cloudwatch_backends[account][region].put_metric_alarm(
            name=name,
            namespace=properties.get("Namespace", ""),
            metric_name=properties.get("MetricName", ""),
            comparison_operator=properties["ComparisonOperator"],
            evaluation_periods=int(properties["EvaluationPeriods"]),
            period=int(properties.get("Period", 60)),
            threshold=float(properties.get("Threshold", 0)),
            statistic=properties.get("Statistic", ""),
            description=properties.get("AlarmDescription", ""),
            dimensions=[],
            alarm_actions=properties.get("AlarmActions", []),
            ok_actions=properties.get("OKActions", []),
            treat_missing_data=properties.get("TreatMissingData"),
        )
        return cls(name, Arn=alarm.alarm_arn)


class CompositeAlarm(Created, CloudFormationModel):  # type: ignore[misc]
    """An alarm of alarms. moto never evaluates it; it can be described."""

    TYPE = "AWS::CloudWatch::CompositeAlarm"
    NAME_PROPERTY = "AlarmName"
    ATTRIBUTES = ("Arn",)

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Put an alarm with a rule instead of a metric, which is how moto tells the two apart."""
        alarm = cloudwatch_backends[account][region].put_metric_alarm(
            name=name,
            namespace="",
            metric_name="",
            comparison_operator="",
            evaluation_periods=1,
            period=60,
            threshold=0.0,
            statistic="",
            description=properties.get("AlarmDescription", ""),
            dimensions=[],
            alarm_actions=properties.get("AlarmActions", []),
            rule=properties["AlarmRule"],
        )
        return cls(name, Arn=alarm.alarm_arn)


class Secret(Created, CloudFormationModel):  # type: ignore[misc]
    """A secret. A generated one is the word `local` under its key."""

    TYPE = "AWS::SecretsManager::Secret"
    NAME_PROPERTY = "Name"
    ATTRIBUTES = ("Id",)

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Create it with its value; the physical id is the ARN, as in AWS."""
        value = properties.get("SecretString")
        if value is None:
            generated = properties.get("GenerateSecretString", {})
            value = json.dumps({generated.get("GenerateStringKey", "value"): "local"})
        answer = secretsmanager_backends[account][region].create_secret(
            name=properties.get("Name", name),
            secret_string=value,
            secret_binary=None,
            description=properties.get("Description"),
            tags=properties.get("Tags"),
            kms_key_id=properties.get("KmsKeyId"),
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        arn = json.loads(answer)["ARN"] if isinstance(answer, str) else answer["ARN"]
        return cls(arn, Id=arn)


class ScheduleGroup(Created, CloudFormationModel):  # type: ignore[misc]
    """A group of schedules."""

    TYPE = "AWS::Scheduler::ScheduleGroup"
    NAME_PROPERTY = "Name"
    ATTRIBUTES = ("Arn",)

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:  # noqa: ARG003
        """Create it by moto's own call."""
        group = scheduler_backends[account][region].create_schedule_group(name=name, tags=[])
        return cls(name, Arn=group.arn)


class Schedule(Created, CloudFormationModel):  # type: ignore[misc]
    """A schedule of EventBridge Scheduler. moto never fires it: the worker does."""

    TYPE = "AWS::Scheduler::Schedule"
    NAME_PROPERTY = "Name"
    ATTRIBUTES = ("Arn",)

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:
        """Create it by moto's own call."""
        schedule = scheduler_backends[account][region].create_schedule(
            description=properties.get("Description"),
            end_date=properties.get("EndDate"),
            flexible_time_window=properties.get("FlexibleTimeWindow", {"Mode": "OFF"}),
            group_name=properties.get("GroupName", "default"),
            kms_key_arn=properties.get("KmsKeyArn"),
            name=name,
            schedule_expression=properties["ScheduleExpression"],
            schedule_expression_timezone=properties.get("ScheduleExpressionTimezone"),
            start_date=properties.get("StartDate"),
            state=properties.get("State"),
            target=properties["Target"],
            action_after_completion=None,
        )
        return cls(name, Arn=schedule.arn)


class FunctionUrl(Created, CloudFormationModel):  # type: ignore[misc]
    """The address of a function. moto serves none: ``sandbox.function_urls`` does."""

    TYPE = "AWS::Lambda::Url"
    ATTRIBUTES = ("FunctionUrl", "FunctionArn")

    @classmethod
    def create(cls, name: str, properties: dict[str, Any], account: str, region: str) -> Any:  # noqa: ARG003
        """Create it by moto's own call."""
        arn = properties["TargetFunctionArn"]
        config = lambda_backends[account][region].create_function_url_config(arn, properties)
        return cls(arn, FunctionUrl=config.url, FunctionArn=arn)


def fill() -> None:
    """Importing this module was the registration: moto lists the subclasses of CloudFormationModel."""
