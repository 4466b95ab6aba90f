"""Two hundred features with hostile names in one finding: every channel's message stays within its limits."""

from __future__ import annotations

import email
import email.policy
import json

import msgspec
import pytest

from sagewatch.alert.amazon_q import find_faults, render_amazon_q
from sagewatch.alert.buttons import build_buttons
from sagewatch.alert.content import Companion
from sagewatch.alert.html_mail import HTML_LIMIT_BYTES, render_html_mail
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Kind
from sagewatch.alert.pagerduty import render_pagerduty
from sagewatch.alert.slack import render_slack
from sagewatch.alert.webhook import render_webhook
from sagewatch.sandbox.hooks import PAGERDUTY_LIMIT_BYTES, refuse_event
from sagewatch.sandbox.slack_rules import refuse_message
from tests.unit.alert.story import HOSTILE, announce
from tests.unit.alert.test_mail import check_limits
from tests.unit.golden.golden import check_golden
from tests.unit.incident.story import at

FEATURES = {f"{text[:60]}_{number}": number for number in range(40) for text in (*HOSTILE.values(), "age")}


@pytest.fixture(params=[*Kind])
def announcement(request):
    plain = announce(request.param, "data-quality")
    finding = msgspec.structs.replace(plain.incident.latest, counts=dict(list(FEATURES.items())[:200]))
    incident = msgspec.structs.replace(plain.incident, findings=(finding,))
    others = tuple(
        Companion(
            incident_id=f"20261121T203405Z-{number:016x}",
            headline=name * 40,
            opened_at=at(number),
        )
        for number, name in enumerate(list(FEATURES)[:200])
    )
    return msgspec.structs.replace(plain, incident=incident, companions=others)


def show(message):
    return json.dumps(message, indent=2, ensure_ascii=False) + "\n"


def test_slack_takes_it_with_its_buttons(announcement):
    buttons = build_buttons(announcement.incident, announcement.companions, diagnosable=True)
    message = render_slack(announcement, buttons)
    assert refuse_message(message) is None
    assert "<!channel>" not in json.dumps(message)
    check_golden(f"slack/large.{announcement.kind}.json", show(message))


def test_mail_and_html_mail_take_it(announcement):
    mail = render_mail(announcement)
    check_limits(mail)
    check_golden(f"mail/large.{announcement.kind}.txt", f"Subject: {mail.subject}\n\n{mail.body}")
    raw = render_html_mail(announcement, "s@example.com", ("a@example.com",), "ab")
    page = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",)).get_content()
    assert len(page.encode()) <= HTML_LIMIT_BYTES
    assert "<script" not in page
    check_golden(f"html_mail/large.{announcement.kind}.html", page)


def test_pagerduty_webhook_and_amazon_q_take_it(announcement):
    event = {**render_pagerduty(announcement, "key"), "routing_key": "k" * 32}
    assert refuse_event(event, "k" * 32) == []
    assert len(json.dumps(event).encode()) <= PAGERDUTY_LIMIT_BYTES
    message, notification = render_webhook(announcement, "ab"), render_amazon_q(announcement, "ab")
    assert len(json.dumps(message).encode()) < 64 * 1024
    assert find_faults(notification) == []
    check_golden(f"pagerduty/large.{announcement.kind}.json", show(render_pagerduty(announcement, "ab")))
    check_golden(f"webhook/large.{announcement.kind}.json", show(message))
    check_golden(f"amazon_q/large.{announcement.kind}.json", show(notification))
