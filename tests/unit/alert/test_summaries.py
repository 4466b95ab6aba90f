"""When a summary is due, and when the one that is open ends, also as an older version stored it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from sagewatch.alert.ledger import Hold, Kind, Ledger, Member, Policy, Send
from sagewatch.alert.owed_ends import mark_before_sending
from sagewatch.alert.summaries import decide_end_of_summary, decide_summary
from sagewatch.finding import Severity
from sagewatch.incident.model import State
from sagewatch.incident.routing import Timers
from tests.unit.alert.test_outbox import at

HOUR = timedelta(hours=1)
TIMERS = Timers(interval=timedelta(minutes=5))


def build_member(name, subject="stop", *, severity="warning", over=True, **changes):
    return Member(
        incident_id=name, labels={"endpoint": "signs", "variant": "v", "kind": "k", "subject": subject},
        state=State.RESOLVED if over else State.OPEN, severity=Severity(severity), headline="h", opened_at=at(0),
        joined_at=at(0), seen=1, content=name, flapping=True, **changes,
    )  # fmt: skip


def build_ledger(**changes):
    return Ledger(group="g", receiver="r/pagerduty", **changes)


TOLD = build_member("a", told="digested", told_severity=Severity.WARNING)


def decide(new, now):
    return decide_summary(build_ledger(digested_at=at(0)), [TOLD, new], [new], at(now), TIMERS, HOUR)


def test_the_same_waits_for_its_time_the_new_for_company_the_worse_for_nothing():
    assert decide(build_member("b"), 1) == Hold("flapping", at(3600))
    assert decide(build_member("b", "yield", severity="critical"), 1) == Hold("flapping", at(300))
    assert decide(build_member("b", severity="critical"), 1).kind is Kind.DIGEST
    assert decide(build_member("b"), 3600).tells == ("b",)


def test_who_may_have_been_summed_up_is_written_down_before_by_channels_that_keep_it_open():
    members = [TOLD, build_member("b", over=False), build_member("c")]
    send = Send(kind=Kind.DIGEST, reason="flapping", content="x", in_place=False, shows=("c",), tells=("c",))
    ledger = build_ledger(digest_open=True, summed=("a", "b"))
    marked = mark_before_sending(ledger, members, send, Policy(keyed=True))
    # Who is over need not be waited for any more.
    assert (marked.digest_open, marked.summed) == (True, ("b", "c"))
    assert mark_before_sending(ledger, members, send, Policy()) == ledger


def test_a_summary_ends_when_all_that_it_counts_is_over_and_names_nothing_else():
    ledger = build_ledger(digest_open=True, summed=("a", "b"))
    another = build_member("z", over=False)
    assert decide_end_of_summary(ledger, [TOLD, build_member("b", over=False), another]) is None
    assert decide_end_of_summary(ledger, [TOLD, build_member("b"), another]).shows == ("a", "b")
    assert decide_end_of_summary(build_ledger(), [TOLD]) is None


def test_a_summary_that_an_older_version_opened_is_ended():
    stored = msgspec.json.decode(
        b'{"group": "g", "receiver": "r/pagerduty", "digest_open": true}', type=Ledger
    )
    another = build_member("z", over=False, told="firing")
    assert decide_end_of_summary(stored, [TOLD, another]).shows == ("a",)
    assert decide_end_of_summary(stored, [another]) is None
    assert decide_end_of_summary(stored, [build_member("z", told="resolved")]).shows == ("z",)
