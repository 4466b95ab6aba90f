"""PagerDuty events and webhook messages of every kind, as they were looked at, and what hostile names cannot do."""

from __future__ import annotations

import json

import msgspec
import pytest

from sagewatch.alert.content import Announcement, Companion, Links
from sagewatch.alert.outbox import Kind
from sagewatch.alert.pagerduty import SUMMARY_LIMIT, render_pagerduty
from sagewatch.alert.webhook import render_webhook
from sagewatch.finding import Severity
from sagewatch.incident.describe import KINDS
from sagewatch.incident.model import State
from sagewatch.sandbox.hooks import PAGERDUTY_LIMIT_BYTES, refuse_event
from tests.unit.alert.story import HOSTILE, announce, announce_hostile
from tests.unit.golden.golden import check_golden
from tests.unit.incident.story import at

ROUTING_KEY = "k" * 32
WEBHOOK_LIMIT_BYTES = 64 * 1024
RENDERERS = {"pagerduty": render_pagerduty, "webhook": render_webhook}


def show(message):
    return json.dumps(message, indent=2, ensure_ascii=False) + "\n"


def check_event(event):
    assert refuse_event({**event, "routing_key": ROUTING_KEY}, ROUTING_KEY) == []
    assert len(json.dumps(event).encode()) <= PAGERDUTY_LIMIT_BYTES


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("channel", RENDERERS)
def test_message_reads_as_it_was_looked_at(channel, kind, finding_kind):
    message = RENDERERS[channel](announce(kind, finding_kind), "0f0f-1")
    if channel == "pagerduty":
        check_event(message)
    check_golden(f"{channel}/{finding_kind}.{kind}.json", show(message))


def test_what_somebody_took_is_acknowledged_at_pagerduty_and_what_is_over_resolved():
    firing = announce(Kind.UPDATED, "class-concentration")
    taken = msgspec.structs.replace(firing.incident, state=State.ACKNOWLEDGED, acknowledged_by="kim")
    event = render_pagerduty(msgspec.structs.replace(firing, incident=taken), "0f0f-1")
    assert event == {"event_action": "acknowledge", "dedup_key": "0f0f-1"}
    over = render_pagerduty(announce(Kind.RESOLVED, "class-concentration"), "0f0f-1")
    assert over == {"event_action": "resolve", "dedup_key": "0f0f-1"}


def test_a_group_is_acknowledged_at_pagerduty_once_somebody_looks_after_all_of_it():
    taken = msgspec.structs.replace(announce(Kind.UPDATED, "bias").incident, state=State.ACKNOWLEDGED)
    for state, action in zip(State, ("trigger", "acknowledge", "acknowledge"), strict=True):
        other = Companion(headline="x", state=state, opened_at=at(1))
        announcement = Announcement(kind=Kind.UPDATED, incident=taken, companions=(other,))
        assert render_pagerduty(announcement, "k")["event_action"] == action, state


def test_the_worst_that_is_not_over_sets_how_bad_the_page_is():
    """What nobody looks after speaks, and may be the mildest."""
    mild = msgspec.structs.replace(announce(Kind.UPDATED, "bias").incident, severity=Severity.INFO)
    for state, severity in zip(State, ("critical", "critical", "info"), strict=True):
        other = Companion(headline="x", state=state, severity=Severity.CRITICAL, opened_at=at(1))
        event = render_pagerduty(Announcement(kind=Kind.UPDATED, incident=mild, companions=(other,)), "k")
        assert event["payload"]["severity"] == severity, state


def test_a_link_that_pagerduty_would_refuse_keeps_no_page_from_anybody():
    firing = announce(Kind.FIRING, "no-data")
    links = Links(page="file:///tmp/page.html", runbooks="runbooks")
    event = render_pagerduty(msgspec.structs.replace(firing, links=links), "0f0f-1")
    check_event(event)
    assert event["links"] == []


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_break_no_limit(name, finding_kind):
    announcement = announce_hostile(Kind.FIRING, finding_kind, HOSTILE[name])
    event, message = render_pagerduty(announcement, "0f0f-1"), render_webhook(announcement, "0f0f")
    check_event(event)
    assert len(event["payload"]["summary"]) <= SUMMARY_LIMIT
    assert len(json.dumps(message).encode()) < WEBHOOK_LIMIT_BYTES
    if finding_kind == "class-concentration":
        check_golden(f"pagerduty/hostile.{name}.json", show(event))
        check_golden(f"webhook/hostile.{name}.json", show(message))
