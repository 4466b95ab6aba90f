"""The stack's rules: each is there, is enabled, and what it matches arrives; what does not arrive is kept.

EventBridge looks at none of it when a rule is made, and drops an event without a word where neither queue takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.resource_policy import judge_service, list_rows

_SEND: Final = frozenset({"sqs:SendMessage"})
_SERVICE: Final = "events.amazonaws.com"
_DEPLOY_AGAIN = "Somebody changed it by hand: rename the rule in resources/events.yml and deploy, so that it is made anew."
_MAKE_QUEUE = "Somebody deleted the queue: rename it in resources/ and deploy, so that it is made anew."
_LET_IN = "Somebody changed the queue's policy by hand: it must allow events.amazonaws.com sqs:SendMessage from this rule (resources/queues.yml)."
_KEEP = "Somebody changed the target by hand: give it its dead-letter queue again (resources/events.yml), or what cannot be handed over is lost."


def check_rules(patient: Patient) -> Iterator[Line]:
    """Every rule is there, is enabled and leads somewhere; one that is gone does not hide the others."""
    names = patient.list_resources("AWS::Events::Rule")
    # A hub has a bus for its spokes' events as well.
    of_spokes = patient.outputs.get("SpokeBusArn", "").rpartition("/")[2]
    buses = ("default", patient.outputs["EventBus"], *([of_spokes] if of_spokes else []))
    queues = Queues(patient)
    for logical, physical in sorted(names.items()):
        name = physical.rpartition("|")[2].rpartition("/")[2]
        yield _check_rule(patient, queues, f"rule {logical}", name, buses)


class Queues:
    """The queues that rules lead to, each looked at once: a dozen rules share seven."""

    def __init__(self, patient: Patient) -> None:
        self._client = patient.client("sqs")
        self._known: dict[str, Mapping[str, Any] | None] = {}

    def find_policy(self, arn: str) -> Mapping[str, Any] | None:
        """The queue's policy, empty where it has none; None where there is no such queue."""
        if arn not in self._known:
            self._known[arn] = self._ask(arn)
        return self._known[arn]

    def _ask(self, arn: str) -> Mapping[str, Any] | None:
        try:
            url = self._client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            told = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        except self._client.exceptions.QueueDoesNotExist:
            return None
        return dict(json.loads(told.get("Attributes", {}).get("Policy") or "{}"))


def _check_rule(patient: Patient, queues: Queues, what: str, name: str, buses: tuple[str, ...]) -> Line:
    """Look for a rule on each bus: CloudFormation's name for it does not always tell which it is on."""
    events = patient.client("events")
    for bus in buses:
        try:
            rule = events.describe_rule(Name=name, EventBusName=bus)
        except events.exceptions.ResourceNotFoundException:
            continue
        targets = events.list_targets_by_rule(Rule=name, EventBusName=bus).get("Targets", [])
        found = f"{rule['State'].lower()}, {len(targets)} targets"
        if not targets:
            return Line(False, what, found, _DEPLOY_AGAIN)
        if (ill := _check_targets(queues, targets, str(rule.get("Arn", "")))) is not None:
            return Line(ill.well, what, f"{found}; {ill.found}", ill.fix)
        fix = f"aws events enable-rule --name {name} --event-bus-name {bus}"
        return Line(rule["State"] == "ENABLED", what, found, fix)
    return Line(False, what, "gone", _DEPLOY_AGAIN)


def _check_targets(queues: Queues, targets: list[Mapping[str, Any]], rule: str) -> Line | None:
    """What is wrong with where a rule leads, the worst first; None where all is well."""
    ways = [(row["Arn"], row.get("DeadLetterConfig", {}).get("Arn", "")) for row in targets]
    wanted = list(dict.fromkeys(arn for way in ways for arn in way if arn.split(":")[2:3] == ["sqs"]))
    if lost := [_name(arn) for arn in wanted if queues.find_policy(arn) is None]:
        return Line(False, "", f"gone: {', '.join(lost)}", _MAKE_QUEUE)
    doubtful = []
    for arn in wanted:
        region, account = arn.split(":")[3:5]
        facts = {"aws:sourcearn": rule, "aws:sourceaccount": account}
        verdict = judge_service(list_rows(queues.find_policy(arn) or {}, arn), _SERVICE, _SEND, facts)
        # EventBridge sends to dead-letter queues of its own region alone.
        if verdict.well is False or region != rule.split(":")[3]:
            return Line(False, "", f"may not send to {_name(arn)}", _LET_IN)
        if verdict.well is None:
            doubtful.append(_name(arn))
    if bare := [_name(arn) for arn, kept in ways if not kept]:
        return Line(False, "", f"no dead-letter queue beside {', '.join(bare)}", _KEEP)
    if doubtful:
        fix = "Its policy has a condition that cannot be judged from here: let an event come through once."
        return Line(None, "", f"perhaps may not send to {', '.join(doubtful)}", fix)
    return None


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]
