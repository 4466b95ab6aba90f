"""The compiled template as a text that a person can read in a diff: what is there, who may do what, what wakes whom.

Run by hand after `make package`: ``python -m layers.summarize_stack .build/dev/package``. The contract tests hold it
equal to ``tests/contract/golden/stack.txt``; ``UPDATE_GOLDEN=1 pytest tests/contract/test_golden_stack.py`` writes that anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

TEMPLATE = "cloudformation-template-update-stack.json"
# What changes with every build and means nothing: hashes and times in names of versions and of uploaded zips.
_NOISE = re.compile(r"serverless/[^/]+/[^/]+/\d+-[0-9TZ:.\-]+/")
_OTHER_FORM = (AttributeError, IndexError, KeyError, TypeError, ValueError)
Rows = Iterator[str]
Row = Mapping[str, Any]


def summarize_stack(template: Mapping[str, Any]) -> str:
    """The whole template in sections, each in order of logical names.

    Parameters
    ----------
    template
        As osls compiles it.

    Examples
    --------
    >>> print(summarize_stack({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {}}}}).splitlines()[2])
    AWS::SQS::Queue Q
    """
    lines: list[str] = []
    for title, build in _SECTIONS:
        rows = list(build(template))
        lines += [f"== {title}", "", *rows, ""]
    return "\n".join(lines)


def show(value: Any) -> str:
    """A value of a template in its short spelling: ``{Ref: X}`` is ``X``, ``{Fn::GetAtt: [X, Arn]}`` is ``X.Arn``.

    Examples
    --------
    >>> show({"Fn::If": ["HasKey", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]})
    'HasKey ? Key : nothing'
    """
    if isinstance(value, Mapping):
        if len(value) == 1:
            ((name, inner),) = value.items()
            short = _FUNCTIONS.get(name)
            if short:
                try:
                    return short(inner)
                except _OTHER_FORM:
                    return f"{{{name}: {show(inner)}}}"
        return "{" + ", ".join(f"{key}: {show(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(show(inner) for inner in value) + "]"
    return _NOISE.sub("", str(value))


def _sub(inner: Any) -> str:
    text, names = inner if isinstance(inner, list) else (inner, {})
    for name, value in names.items():
        text = text.replace("${" + name + "}", f"({show(value)})")
    return str(text).replace("${AWS::Partition}", "*").replace("${AWS::Region}:${AWS::AccountId}", "here")


_FUNCTIONS: Mapping[str, Callable[[Any], str]] = {
    "Ref": lambda inner: "nothing" if inner == "AWS::NoValue" else str(inner),
    "Fn::GetAtt": lambda inner: ".".join(inner) if isinstance(inner, list) else str(inner),
    "Fn::Sub": _sub,
    "Fn::Join": lambda inner: (
        str(inner[0]).join(show(part) for part in inner[1])
        if isinstance(inner[1], list)
        else f"{show(inner[1])}, joined by {inner[0]!r}"
    ),
    "Fn::Split": lambda inner: f"{show(inner[1])} split at {inner[0]!r}",
    "Fn::If": lambda inner: f"{inner[0]} ? {show(inner[1])} : {show(inner[2])}",
}


def _of_type(template: Mapping[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in sorted(template["Resources"].items()):
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {})


def _each(template: Mapping[str, Any], kind: str, tell: Callable[[str, Row], Rows]) -> Rows:
    """What ``tell`` says of each resource of a type; of one in a form that it does not know, all properties as they are.

    A template may be one that somebody changed by hand, with ``NotAction`` or an alarm on metric math.
    """
    for name, row in _of_type(template, kind):
        try:
            yield from list(tell(name, row))
        except _OTHER_FORM:
            yield f"{name}: {show(row)}"


def _resources(template: Mapping[str, Any]) -> Rows:
    for name, row in sorted(template["Resources"].items(), key=lambda one: (one[1]["Type"], one[0])):
        kept = f"  on delete: {row['DeletionPolicy']}" if "DeletionPolicy" in row else ""
        only = f"  if {row['Condition']}" if "Condition" in row else ""
        yield f"{row['Type']} {name}{only}{kept}"


def _functions(template: Mapping[str, Any]) -> Rows:
    yield from _each(template, "AWS::Lambda::Function", _function)
    yield from _each(template, "AWS::Lambda::EventSourceMapping", _mapping)
    yield from _each(template, "AWS::Lambda::Url", _url)
    yield from _each(template, "AWS::Lambda::Permission", _permission)
    for name, row in _of_type(template, "AWS::Logs::LogGroup"):
        yield f"{name}: kept {show(row.get('RetentionInDays', 'for ever'))} days"


def _function(name: str, row: Row) -> Rows:
    yield (
        f"{name}: {row['Runtime']} {show(row.get('Architectures', []))} {row['MemorySize']} MB, {row['Timeout']} s, "
        f"tracing {show(row.get('TracingConfig', {}).get('Mode', 'off'))}, role {show(row['Role'])}"
    )
    variables = row.get("Environment", {}).get("Variables", {})
    yield from (f"  {key} = {show(value)}" for key, value in sorted(variables.items()))


def _mapping(_: str, row: Row) -> Rows:
    rest = {key: value for key, value in sorted(row.items()) if key not in {"EventSourceArn", "FunctionName"}}
    yield f"{show(row['EventSourceArn'])} -> {show(row['FunctionName'])} {show(rest)}"


def _url(name: str, row: Row) -> Rows:
    yield f"{name}: {show(row['TargetFunctionArn'])}, auth {row['AuthType']}, {row.get('InvokeMode', 'BUFFERED')}"


def _permission(name: str, row: Row) -> Rows:
    only = {key: value for key, value in sorted(row.items()) if key not in {"Action", "FunctionName"}}
    yield f"{name}: {row['Action']} of {show(row['FunctionName'])} {show(only)}"


def _patterns(template: Mapping[str, Any]) -> Rows:
    yield from _each(template, "AWS::Events::Rule", _rule)
    yield from _each(template, "AWS::Events::Archive", _archive)
    yield from _each(template, "AWS::Scheduler::Schedule", _schedule)


def _rule(name: str, row: Row) -> Rows:
    yield f"{name} on {show(row.get('EventBusName', 'default'))}: {show(row['EventPattern'])}"
    for target in row["Targets"]:
        yield f"  -> {show(target['Arn'])}, else {show(target.get('DeadLetterConfig', {}).get('Arn', 'lost'))}"


def _archive(name: str, row: Row) -> Rows:
    yield f"{name} of {show(row['SourceArn'])}, {show(row.get('RetentionDays', 0))} days: {show(row['EventPattern'])}"


def _schedule(name: str, row: Row) -> Rows:
    yield f"{name}: {show(row['ScheduleExpression'])} -> {show(row['Target']['Arn'])}"


def _queues(template: Mapping[str, Any]) -> Rows:
    yield from _each(template, "AWS::SQS::Queue", _queue)


def _queue(name: str, row: Row) -> Rows:
    drive = row.get("RedrivePolicy")
    dead = f", after {drive['maxReceiveCount']} to {show(drive['deadLetterTargetArn'])}" if drive else ""
    yield (
        f"{name}: hidden {row.get('VisibilityTimeout', 30)} s, kept {row.get('MessageRetentionPeriod', 345600)} s{dead}"
    )


def _policies(template: Mapping[str, Any]) -> Rows:
    def role(name: str, row: Row) -> Rows:
        yield name
        yield from _statements("assumed", row["AssumeRolePolicyDocument"])
        for policy in row.get("Policies", []):
            yield from _statements(policy["PolicyName"], policy["PolicyDocument"])
        for managed, more in list_attached(template, name):
            yield from _statements(managed, more["PolicyDocument"])

    yield from _each(template, "AWS::IAM::Role", role)
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"):
        yield from _each(template, kind, _policy)
    yield from _each(template, "AWS::Events::EventBusPolicy", _bus_policy)


def _policy(name: str, row: Row) -> Rows:
    yield name
    yield from _statements("policy", row["PolicyDocument"])


def _bus_policy(name: str, row: Row) -> Rows:
    yield name
    yield from _statements("policy", {"Statement": [row["Statement"]]})


def list_attached(template: Mapping[str, Any], role: str) -> list[tuple[str, dict[str, Any]]]:
    """Managed policies of the template that hang on a role, each with its logical id: what they allow, the role may."""
    return [
        (name, row)
        for name, row in _of_type(template, "AWS::IAM::ManagedPolicy")
        if {"Ref": role} in row.get("Roles", [])
    ]


def _statements(policy: str, document: Mapping[str, Any]) -> Rows:
    for row in document["Statement"]:
        only, statement = "", row
        if "Fn::If" in row:
            only, statement = f"if {row['Fn::If'][0]} ", row["Fn::If"][1]
        allowed = statement.get("Action", [])  # or `NotAction`, which is told as a property
        actions = allowed if isinstance(allowed, list) else [allowed]
        resources = statement.get("Resource", [])
        who = f" by {show(statement['Principal'])}" if "Principal" in statement else ""
        yield f"  {policy}: {only}{statement['Effect']} {', '.join(sorted(actions))}{who}"
        for resource in resources if isinstance(resources, list) else [resources]:
            yield f"    on {show(resource)}"
        if "Condition" in statement:
            yield f"    when {show(statement['Condition'])}"


def _alarms(template: Mapping[str, Any]) -> Rows:
    yield from _each(template, "AWS::CloudWatch::Alarm", _alarm)
    yield from _each(template, "AWS::CloudWatch::CompositeAlarm", _composite)


def _alarm(name: str, row: Row) -> Rows:
    dimensions = ", ".join(f"{one['Name']}={show(one['Value'])}" for one in row.get("Dimensions", []))
    points = row.get("DatapointsToAlarm", row["EvaluationPeriods"])
    yield (
        f"{name}: {row.get('Statistic') or row['ExtendedStatistic']} of {row['Namespace']}/{row['MetricName']} ({dimensions}) {row['ComparisonOperator']} "
        f"{row['Threshold']}, {points} of {row['EvaluationPeriods']} x {row['Period']} s, missing {row['TreatMissingData']}"
        f" -> {show(row['AlarmActions'])}"
    )


def _composite(name: str, row: Row) -> Rows:
    yield f"{name}: {show(row['AlarmRule'])} -> {show(row['AlarmActions'])}"


def _storage(template: Mapping[str, Any]) -> Rows:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic"):
        for name, row in _of_type(template, kind):
            yield name
            yield from (f"  {key}: {show(value)}" for key, value in sorted(row.items()) if key != "Tags")


def _parameters(template: Mapping[str, Any]) -> Rows:
    for name, row in sorted(template.get("Parameters", {}).items()):
        yield f"parameter {name} = {row.get('Default', '')!r}"
    for name, row in sorted(template.get("Outputs", {}).items()):
        if not name.endswith("LambdaLayerHash"):  # another one with every line of the product
            yield f"output {name} = {show(row['Value'])}"


_SECTIONS: tuple[tuple[str, Callable[[Mapping[str, Any]], Rows]], ...] = (
    ("resources", _resources),
    ("functions", _functions),
    ("what wakes whom", _patterns),
    ("queues", _queues),
    ("alarms", _alarms),
    ("who may what", _policies),
    ("what is kept", _storage),
    ("parameters and outputs", _parameters),
)


def main() -> None:
    """Print the summary of the folder that the command line names."""
    print(summarize_stack(json.loads((Path(sys.argv[1]) / TEMPLATE).read_text())), end="")


if __name__ == "__main__":
    main()
