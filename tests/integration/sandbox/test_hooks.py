"""PagerDuty and signed webhooks, over HTTP, against servers that refuse what the real ones refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from sagewatch.alert.ledger import Kind
from sagewatch.alert.pagerduty import render_pagerduty
from sagewatch.alert.webhook import render_webhook
from sagewatch.aws.http import HttpHooks
from sagewatch.errors import DeliveryError
from sagewatch.incident.describe import KINDS
from sagewatch.incident.model import State
from sagewatch.monitors.receivers import PagerDutyReceiver, Receiver, WebhookReceiver
from sagewatch.sandbox.hooks import HookServer
from tests.unit.alert.story import HOSTILE, announce, announce_hostile


@pytest.fixture
def server():
    with HookServer() as running:
        yield running


def connect(server, **secrets):
    known = {"pd": server.routing_key, "sign": server.secret, **secrets}
    receiver = Receiver(
        pagerduty=PagerDutyReceiver(key="pd", url=f"{server.url}/v2/enqueue"),
        webhook=WebhookReceiver(url=f"{server.url}/hook", secret="sign"),
    )
    return HttpHooks({"on-call": receiver}, known.__getitem__)


def now():
    return datetime.now(UTC)  # noqa: TID251 - the server reads the clock too


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_every_message_of_every_kind_is_taken(server, kind, finding_kind):
    hooks, announcement = connect(server), announce(kind, finding_kind)
    hooks.post_hook("on-call/pagerduty", render_pagerduty(announcement, "g-1"), now())
    hooks.post_hook("on-call/webhook", render_webhook(announcement, "g-1"), now())
    assert server.events[0]["event_action"] == ("resolve" if kind is Kind.RESOLVED else "trigger")
    assert server.hooks[0]["event"] == kind.value


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_taken_too(server, name):
    announcement = announce_hostile(Kind.FIRING, "class-concentration", HOSTILE[name])
    connect(server).post_hook("on-call/pagerduty", render_pagerduty(announcement, "k" * 999), now())
    connect(server).post_hook("on-call/webhook", render_webhook(announcement, "g"), now())
    assert len(server.events[0]["payload"]["summary"]) <= 1024


def test_what_is_acknowledged_is_acknowledged_there():
    announcement = announce(Kind.UPDATED, "class-concentration")
    taken = msgspec.structs.replace(announcement.incident, state=State.ACKNOWLEDGED)
    event = render_pagerduty(msgspec.structs.replace(announcement, incident=taken), "g-1")
    assert event == {"event_action": "acknowledge", "dedup_key": "g-1"}


@pytest.mark.parametrize(
    "change",
    [
        {"links": [{"text": "nowhere"}]},
        {"links": "https://x.example"},
        {"images": [{"href": "https://x.example"}]},
        {"timestamp": "soon"},
        {"timestamp": "2026-11-21T12:00:00"},
        {"severity": "fatal"},
        {"source": ""},
    ],
    ids=str,
)
def test_an_event_that_pagerduty_would_refuse_cannot_heal(server, change):
    event = render_pagerduty(announce(Kind.FIRING, "class-concentration"), "g-1")
    (key,) = change
    event = event | change if key in {"links", "images"} else event | {"payload": event["payload"] | change}
    with pytest.raises(DeliveryError, match=rf"HTTP 400.*{key}") as refused:
        connect(server).post_hook("on-call/pagerduty", event, now())
    assert not refused.value.recoverable
    assert server.events == []


def test_a_wrong_key_or_signature_cannot_heal(server):
    for target, hooks in (
        ("on-call/pagerduty", connect(server, pd="wrong")),
        ("on-call/webhook", connect(server, sign="wrong")),
    ):
        with pytest.raises(DeliveryError) as refused:
            hooks.post_hook(target, render_pagerduty(announce(Kind.FIRING, "no-data"), "g"), now())
        assert not refused.value.recoverable
    assert "routing_key" in str(server.answer("/v2/enqueue", b"{}", {}))


def test_a_message_that_is_sent_again_later_is_refused(server):
    with pytest.raises(DeliveryError, match="401"):
        connect(server).post_hook("on-call/webhook", {}, now() - timedelta(minutes=6))


def test_retry_after_is_read(server):
    server.throttled.append(17)
    with pytest.raises(DeliveryError) as refused:
        connect(server).post_hook("on-call/pagerduty", {}, now())
    assert (refused.value.recoverable, refused.value.after_seconds) == (True, 17)


def test_who_does_not_answer_may_heal(server):
    hooks = connect(server)
    server.__exit__()
    with pytest.raises(DeliveryError) as refused:
        hooks.post_hook("on-call/webhook", {}, now())
    assert refused.value.recoverable
    server.__init__()  # so that the fixture has something to stop
    server.__enter__()
