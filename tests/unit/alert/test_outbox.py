from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest

from sagewatch.alert.outbox import Hold, Kind, Policy, Send, decide_announcement, settle
from sagewatch.incident.model import Debt, Progress
from tests.unit.incident.story import at, build_finding, build_incident, resolve

MAIL = Policy()
SLACK = Policy(in_place=True)


class Receiver:
    """Somebody who is told, and remembers what."""

    def __init__(self, policy):
        self.policy = policy
        self.debt = Debt(incident_id="i", receiver="r")
        self.heard = []

    def tell(self, incident, now=100):
        for _ in range(10):
            decision = decide_announcement(incident, self.debt, at(now), self.policy)
            if isinstance(decision, Hold):
                return decision
            self.heard.append(str(decision.kind))
            self.debt = settle(
                self.debt, decision, at(now), thread="1700.1" if self.policy.in_place else None
            )
        raise AssertionError("never came to rest")


def explain(incident, stage="finished", explained=24):
    return msgspec.structs.replace(incident, diagnosis=Progress(stage, "x", at(200), explained))


@pytest.mark.parametrize("policy", [MAIL, SLACK])
def test_one_firing_and_one_resolved_however_often_asked(policy):
    receiver = Receiver(policy)
    for incident in (
        build_incident(),
        build_incident(),
        resolve(build_incident()),
        resolve(build_incident()),
    ):
        receiver.tell(incident)
    assert receiver.heard == ["firing", "resolved"]


@pytest.mark.parametrize("policy", [MAIL, SLACK])
def test_incident_that_ended_before_it_was_told_is_told_as_both_in_order(policy):
    receiver = Receiver(policy)
    receiver.tell(resolve(build_incident()))
    assert receiver.heard == ["firing", "resolved"]


def test_mail_hears_nothing_between():
    receiver = Receiver(MAIL)
    receiver.tell(build_incident())
    assert receiver.tell(explain(build_incident())) == Hold("no_new_messages_between")
    receiver.tell(explain(resolve(build_incident())))
    assert receiver.heard == ["firing", "resolved"]


def test_slack_message_changes_in_place_with_the_diagnosis_also_after_the_end():
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    receiver.tell(explain(build_incident(), "observing", 0))
    receiver.tell(resolve(explain(build_incident(), "observing", 0)))
    receiver.tell(explain(resolve(build_incident())))
    assert receiver.heard == ["firing", "updated", "resolved", "updated"]
    assert receiver.debt.told == "resolved"
    assert receiver.debt.updates == 2


def test_growing_evidence_of_a_known_finding_is_no_news():
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    assert receiver.tell(build_incident(end=900)) == Hold("already_told")


def test_second_finding_is_news():
    receiver = Receiver(SLACK)
    incident = build_incident()
    receiver.tell(incident)
    receiver.tell(msgspec.structs.replace(incident, findings=(*incident.findings, build_finding("b"))))
    assert receiver.heard == ["firing", "updated"]


def test_updates_keep_their_distance_and_say_until_when():
    receiver = Receiver(Policy(in_place=True, every=timedelta(seconds=30)))
    receiver.tell(build_incident(), now=100)
    assert receiver.tell(explain(build_incident()), now=110) == Hold("updated_too_recently", until=at(130))
    receiver.tell(explain(build_incident()), now=130)
    assert receiver.heard == ["firing", "updated"]


def test_resolve_does_not_wait_for_the_distance_between_updates():
    receiver = Receiver(Policy(in_place=True, every=timedelta(hours=1)))
    receiver.tell(build_incident(), now=100)
    receiver.tell(resolve(build_incident()), now=101)
    assert receiver.heard == ["firing", "resolved"]


def test_message_without_a_handle_cannot_be_changed():
    told = Debt(incident_id="i", receiver="r", told="firing", content="old")
    assert decide_announcement(build_incident(), told, at(0), SLACK) == Hold("no_new_messages_between")


def test_crash_between_send_and_record_repeats_the_message():
    debt = Debt(incident_id="i", receiver="r")
    first = decide_announcement(build_incident(), debt, at(0), MAIL)
    again = decide_announcement(build_incident(), debt, at(1), MAIL)
    assert isinstance(first, Send)
    assert first == again


def test_no_order_of_states_tells_a_resolved_without_its_firing():
    states = [
        build_incident(),
        resolve(build_incident()),
        explain(build_incident()),
        explain(resolve(build_incident())),
    ]
    for order in itertools.permutations(states):
        receiver = Receiver(MAIL)
        for incident in order:
            receiver.tell(incident)
        assert receiver.heard == ["firing", "resolved"]
        assert Kind(receiver.debt.told) is Kind.RESOLVED
