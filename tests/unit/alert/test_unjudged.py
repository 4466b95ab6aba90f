"""What nothing judges any more is over in the books, and no message of any channel calls that an all-clear."""

from __future__ import annotations

import json

import pytest

from sagewatch.alert.amazon_q import render_amazon_q
from sagewatch.alert.html_mail import render_html_mail
from sagewatch.alert.mail import render_mail
from sagewatch.alert.pagerduty import render_pagerduty
from sagewatch.alert.slack import render_reply, render_slack
from sagewatch.alert.webhook import render_webhook
from sagewatch.incident.describe import describe
from sagewatch.incident.entries import build_cleared
from sagewatch.incident.why import tell_trail
from tests.unit.alert.story import CLASS_NAMES, UNJUDGED, announce_unjudged
from tests.unit.alert.test_html_mail import check as check_html
from tests.unit.alert.test_html_mail import render as render_html
from tests.unit.alert.test_mail import check_limits
from tests.unit.golden.golden import check_golden


def show(message):
    return json.dumps(message, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", UNJUDGED)
def test_the_end_of_what_is_no_longer_judged_reads_as_it_was_looked_at(name):
    announcement = announce_unjudged(name)
    mail = render_mail(announcement)
    check_limits(mail)
    check_golden(f"mail/{name}.unjudged.txt", f"Subject: {mail.subject}\n\n{mail.body}")
    check_golden(f"html_mail/{name}.unjudged.html", check_html(*render_html(announcement)))
    check_golden(
        f"slack/{name}.unjudged.json", show([render_slack(announcement), render_reply(announcement)])
    )
    check_golden(f"webhook/{name}.unjudged.json", show(render_webhook(announcement, "0f0f-1")))
    check_golden(f"amazon_q/{name}.unjudged.json", show(render_amazon_q(announcement, "0f0f")))
    assert render_pagerduty(announcement, "0f0f-1")["event_action"] == "resolve"


@pytest.mark.parametrize("name", UNJUDGED)
def test_no_channel_says_that_the_evidence_fell_back(name):
    announcement = announce_unjudged(name)
    over = describe(announcement.incident.latest, CLASS_NAMES).over
    raw = render_html_mail(announcement, "a@example.com", ["b@example.com"], "t").decode()
    for text in (
        render_mail(announcement).body, raw, show(render_slack(announcement)), show(render_reply(announcement)),
        show(render_amazon_q(announcement, "t")),
    ):  # fmt: skip
        assert over not in text
        assert "by the evidence" not in text
        assert "RESOLVED" not in text
        assert "NO LONGER JUDGED" in text
    sent = render_webhook(announcement, "g")
    assert sent["no_longer_judged"]
    assert over not in show(sent)


def test_the_trail_says_why_it_ended():
    finding = announce_unjudged("no-data").incident.latest
    (line,) = tell_trail([build_cleared(finding, finding.cleared_at)], [])
    assert "no longer judged: monitors.yml" in line
    assert "[no_longer_judged, by no-data]" in line
