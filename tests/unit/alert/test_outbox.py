from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest

from sagewatch.alert.outbox import (
    Hold,
    Kind,
    Ledger,
    Member,
    Policy,
    Send,
    Spare,
    build_content,
    decide_announcement,
)
from sagewatch.alert.settling import build_wait, settle, settle_spare
from sagewatch.finding import Severity
from sagewatch.incident.model import Progress, State
from sagewatch.incident.muting import Mute
from sagewatch.incident.routing import Timers
from tests.unit.incident.story import at, build_finding, build_incident, resolve

MAIL = Policy()
SLACK = Policy(in_place=True)
ALONE = Timers()
REPEAT = at(100) + ALONE.repeat


class Receiver:
    """Somebody who is told, and remembers what."""

    def __init__(self, policy, timers=ALONE):
        self.policy, self.timers = policy, timers
        self.ledger = Ledger(group="g", receiver="r")
        self.members = {}
        self.heard = []

    def tell(self, *incidents, now=100, muted=()):
        for incident in incidents:
            known = self.members.get(incident.incident_id)
            self.members[incident.incident_id] = see(incident, known, now)
        mutes = {one.incident_id: Mute("silenced", "x") for one in muted}
        for _ in range(10):
            members = list(self.members.values())
            decision = decide_announcement(self.ledger, members, mutes, at(now), self.timers, self.policy)
            if isinstance(decision, Hold):
                return decision
            if isinstance(decision, Spare):
                self.ledger, spared = settle_spare(self.ledger, members, decision)
                self.members |= {one.incident_id: one for one in spared}
                continue
            self.heard.append(str(decision.kind))
            thread = "1700.1" if self.policy.in_place else None
            self.ledger, changed = settle(self.ledger, members, decision, at(now), thread=thread)
            self.members |= {one.incident_id: one for one in changed}
        raise AssertionError("never came to rest")


def see(incident, known=None, now=100):
    """The incident as a member of the group, told what it was told."""
    seen = Member(
        incident_id=incident.incident_id, labels={}, state=incident.state, severity=incident.severity,
        headline="h", opened_at=incident.opened_at, joined_at=at(now), seen=1, content=build_content(incident),
        acknowledged_at=incident.acknowledged_at,
    )  # fmt: skip
    if known is None:
        return seen
    kept = {name: getattr(known, name) for name in ("joined_at", "told", "told_at", "generation")}
    return msgspec.structs.replace(seen, **kept)


def another(name="b", **changes):
    return msgspec.structs.replace(build_incident(), incident_id=name, **changes)


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
    assert receiver.tell(explain(build_incident())) == Hold("no_new_messages_between", REPEAT)
    receiver.tell(explain(resolve(build_incident())))
    assert receiver.heard == ["firing", "resolved"]


def test_slack_message_changes_in_place_with_the_diagnosis_also_after_the_end():
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    receiver.tell(explain(build_incident(), "observing", 0))
    receiver.tell(resolve(explain(build_incident(), "observing", 0)))
    receiver.tell(explain(resolve(build_incident())))
    assert receiver.heard == ["firing", "updated", "resolved", "updated"]
    assert receiver.ledger.told == "resolved"
    assert receiver.ledger.updates == 2


def test_growing_evidence_of_a_known_finding_is_no_news():
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    assert receiver.tell(build_incident(end=900)) == Hold("already_told", REPEAT)


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
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    receiver.ledger = msgspec.structs.replace(receiver.ledger, thread=None)
    assert receiver.tell(explain(build_incident())).reason == "no_new_messages_between"


def test_crash_between_send_and_record_repeats_the_message():
    ledger, members = Ledger(group="g", receiver="r"), [see(build_incident())]
    first = decide_announcement(ledger, members, {}, at(0) + ALONE.repeat, ALONE, MAIL)
    again = decide_announcement(ledger, members, {}, at(1) + ALONE.repeat, ALONE, MAIL)
    assert isinstance(first, Send)
    assert first == again


def test_group_waits_for_company_and_tells_all_at_once():
    receiver = Receiver(MAIL, Timers(wait=timedelta(seconds=30)))
    assert receiver.tell(build_incident(), now=100) == Hold(
        "group_wait", at(130), build_incident().incident_id
    )
    assert receiver.tell(another(), now=110) == Hold("group_wait", at(130), build_incident().incident_id)
    receiver.tell(now=130)
    assert receiver.heard == ["firing"]
    assert {one.told for one in receiver.members.values()} == {"firing"}


def test_who_joins_later_is_told_after_the_interval():
    receiver = Receiver(MAIL)
    receiver.tell(build_incident(), now=100)
    assert receiver.tell(another(), now=110) == Hold("group_interval", at(400), "b")
    receiver.tell(now=400)
    assert receiver.heard == ["firing", "firing"]


def test_a_worse_one_does_not_wait_for_the_interval():
    receiver = Receiver(MAIL)
    mild = msgspec.structs.replace(build_incident(), severity=Severity.WARNING)
    receiver.tell(mild, now=100)
    receiver.tell(another(severity=Severity.CRITICAL), now=110)
    assert receiver.heard == ["firing", "firing"]


def test_group_is_resolved_when_its_last_incident_is():
    receiver = Receiver(MAIL)
    other = another()
    receiver.tell(build_incident(), other)
    receiver.tell(resolve(build_incident()))
    assert receiver.heard == ["firing"]
    receiver.tell(msgspec.structs.replace(other, state=State.RESOLVED))
    assert receiver.heard == ["firing", "resolved"]


def test_what_nobody_acknowledges_is_spoken_of_again_and_what_is_acknowledged_later():
    receiver = Receiver(MAIL, Timers(repeat=timedelta(seconds=100), remind=timedelta(seconds=500)))
    receiver.tell(build_incident(), now=100)
    receiver.tell(now=200)
    taken = msgspec.structs.replace(build_incident(), state=State.ACKNOWLEDGED, acknowledged_at=at(250))
    assert receiver.tell(taken, now=300).until == at(750)
    receiver.tell(now=750)
    assert receiver.heard == ["firing", "repeated", "repeated"]


def test_nothing_is_told_of_what_is_muted_but_the_resolve_that_is_owed():
    receiver = Receiver(SLACK)
    receiver.tell(build_incident())
    receiver.tell(explain(build_incident()), muted=[build_incident()], now=100_000)
    assert receiver.heard == ["firing"]
    receiver.tell(resolve(build_incident()), muted=[build_incident()], now=100_001)
    assert receiver.heard == ["firing", "resolved"]


def test_what_came_and_went_while_muted_is_told_to_nobody():
    receiver = Receiver(MAIL)
    assert receiver.tell(build_incident(), muted=[build_incident()]).reason == "silenced"
    receiver.tell(resolve(build_incident()), muted=[build_incident()])
    receiver.tell(now=5000)
    assert receiver.heard == []


def test_what_is_still_open_when_the_mute_ends_is_told_then():
    receiver = Receiver(MAIL)
    receiver.tell(build_incident(), muted=[build_incident()])
    receiver.tell(now=5000)
    assert receiver.heard == ["firing"]


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
        assert Kind(receiver.ledger.told) is Kind.RESOLVED


def test_two_who_were_left_behind_and_end_together_are_told_in_one_word():
    receiver = Receiver(MAIL)
    first, second, third = build_incident(), another(), another("c")
    receiver.tell(first, second, third)
    receiver.tell(msgspec.structs.replace(third, state=State.RESOLVED), muted=[first, second])
    receiver.tell(
        resolve(first), msgspec.structs.replace(second, state=State.RESOLVED), muted=[first, second]
    )
    assert receiver.heard == ["firing", "resolved", "resolved"]
    assert {one.told for one in receiver.members.values()} == {"resolved"}


def test_a_key_stays_open_for_what_is_silenced_and_still_fires():
    receiver = Receiver(Policy(in_place=True, keyed=True))
    first, second = build_incident(), another()
    receiver.tell(first, second)
    held = receiver.tell(msgspec.structs.replace(second, state=State.RESOLVED), muted=[first])
    assert (receiver.heard, held.reason) == (["firing"], "silenced")
    receiver.tell(resolve(first), muted=[first])
    assert receiver.heard == ["firing", "resolved"]
    assert {one.told for one in receiver.members.values()} == {"resolved"}


def test_a_key_that_an_older_version_closed_while_one_still_fired_is_not_closed_twice():
    ledger = Ledger(group="g", receiver="r", told="resolved", generation=1, thread="g-1")
    member = msgspec.structs.replace(see(resolve(build_incident())), told="firing", generation=1)
    policy = Policy(in_place=True, keyed=True)
    decision = decide_announcement(ledger, [member], {}, at(100), ALONE, policy)
    assert isinstance(decision, Spare)
    assert (decision.told, decision.reason) == ("closed", "resolved_with_its_group")


@pytest.mark.parametrize("told", [None, "digested", "firing"])
@pytest.mark.parametrize(("lost_in", "key"), [(1, None), (2, 2)])
def test_the_end_of_what_was_perhaps_told_goes_by_the_key_of_the_lost_word(told, lost_in, key):
    """Key 1 was opened by others and closed with them; key 2 was opened by the lost word alone."""
    ledger = Ledger(group="g", receiver="r", told="resolved", generation=1, perhaps={"a": lost_in})
    member = msgspec.structs.replace(
        see(another("a", state=State.RESOLVED)), told=told, generation=1 if told == "firing" else 0
    )
    mutes = {"a": Mute("silenced", "x")}
    policy = Policy(in_place=True, keyed=True)
    decision = decide_announcement(ledger, [member], mutes, at(100), ALONE, policy)
    if key is None:
        assert isinstance(decision, Spare)
        assert decision.told == "closed"
    else:
        assert (decision.kind, decision.generation, decision.tells) == (Kind.RESOLVED, key, ("a",))


def test_a_key_that_was_perhaps_opened_for_two_is_closed_when_both_are_over():
    ledger = Ledger(group="g", receiver="r", perhaps={"a": 1, "b": 1})
    over, fires = see(another("a", state=State.RESOLVED)), see(another("b"))
    mutes = {name: Mute("silenced", "x") for name in ("a", "b")}
    policy = Policy(in_place=True, keyed=True)
    assert isinstance(decide_announcement(ledger, [over, fires], mutes, at(100), ALONE, policy), Hold)
    both = [over, msgspec.structs.replace(fires, state=State.RESOLVED)]
    assert decide_announcement(ledger, both, mutes, at(100), ALONE, policy).tells == ("a", "b")
    assert decide_announcement(ledger, [over, fires], mutes, at(100), ALONE, MAIL).tells == ("a",)


def test_a_group_that_waits_is_as_bad_as_what_was_said_of_it():
    """One that rose while it was silenced was never told as critical: another critical one does not wait for it."""
    rose = msgspec.structs.replace(
        see(another("a", severity=Severity.CRITICAL)),
        told="firing",
        told_severity=Severity.WARNING,
        generation=1,
    )
    ledger = Ledger(group="g", receiver="r", told="firing", generation=1)
    assert build_wait(ledger, [rose], at(100)).waits_rank == Severity.WARNING.rank
