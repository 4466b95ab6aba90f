"""A replay goes the way that the stack's rules go: the rules in code equal the compiled ones."""

from __future__ import annotations

from sagewatch.cli.archives import ARCHIVE_OF
from sagewatch.replay.play import build_settings
from sagewatch.replay.rules import FLOWS, build_rules
from sagewatch.replay.scene import Scene

NAMES = {"captures": "CaptureBucket", "evidence": "EvidenceBucket"}


def plain(pattern):
    """A pattern with the buckets by their logical names."""
    if isinstance(pattern, dict):
        if "Fn::If" in pattern:
            return plain(pattern["Fn::If"][1])
        if "Ref" in pattern:
            return pattern["Ref"]
        return {key: plain(value) for key, value in pattern.items()}
    if isinstance(pattern, list):
        return [plain(one) for one in pattern]
    return NAMES.get(pattern, pattern)


def test_every_rule_of_the_stack_is_played_and_no_other(of_type):
    queue_of = {}
    for mapping in of_type("AWS::Lambda::EventSourceMapping").values():
        function = mapping["FunctionName"]["Fn::GetAtt"][0]
        queue_of[mapping["EventSourceArn"]["Fn::GetAtt"][0]] = function
    wanted = {
        (name, queue_of[target["Arn"]["Fn::GetAtt"][0]]): plain(rule["EventPattern"])
        for name, rule in of_type("AWS::Events::Rule").items()
        for target in rule["Targets"]
    }

    def id_of(function):
        return f"{function[0].upper()}{function[1:].replace('_', 'Underscore')}LambdaFunction"

    played = {
        (rule.name, id_of(rule.function)): plain(rule.pattern)
        for rule in build_rules(build_settings(Scene()))
        if rule.name != "TickSchedule"
    }
    assert played == wanted


def test_every_function_is_played(of_type):
    functions = {one["Handler"].split("/")[1] for one in of_type("AWS::Lambda::Function").values()}
    # What wakes start_monitor goes from the scheduler straight to its queue: no bus, no archive, no replay. Slack
    # calls slack_action itself; what it puts on the bus is played.
    assert set(FLOWS) == functions - {"start_monitor", "slack_action"}


def test_every_rule_is_played_out_of_the_archive_of_its_bus(of_type):
    rules = of_type("AWS::Events::Rule")
    assert set(ARCHIVE_OF) == set(rules)
    own = {name for name, rule in rules.items() if "EventBusName" in rule}
    assert {name for name, archive in ARCHIVE_OF.items() if archive == "FactArchive"} == own
