"""An announcement as a PagerDuty event.

Source: PagerDuty, Events API v2 (dedup_key 255, summary 1024 characters, event 512 KB; CONTRACTS §13); "Incidents" of its
knowledge base (once the acknowledgement timeout is reached, the incident is triggered again, and escalates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.alert.content import ENDED, Announcement, build_content
from sagewatch.alert.ledger import Kind
from sagewatch.incident.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagewatch.finding import Severity

SUMMARY_LIMIT = 1024
_FACT_LIMIT = 2000


def _list_severities(announcement: Announcement) -> Iterator[Severity]:
    yield announcement.incident.severity
    yield from (one.severity for one in announcement.companions if one.state is not State.RESOLVED)


def render_pagerduty(announcement: Announcement, dedup_key: str) -> dict[str, Any]:
    """The event without its routing key, which is a secret: trigger, acknowledge or resolve."""
    incident, content = announcement.incident, build_content(announcement)
    # The end of a summary may show what has a message of its own by now, and goes on.
    over = announcement.kind is Kind.RESOLVED or content.state in ENDED
    # PagerDuty drops an acknowledge of what was never triggered: a first word is a trigger, whoever looks after it.
    # So is word that it got worse: only a trigger raises the severity that PagerDuty shows and pages by.
    # A summary may be all that is told of what somebody acknowledged before. And a reminder must not acknowledge what
    # the service's own timeout has opened again: it would call off those who are being paged by then.
    begins = announcement.kind in {Kind.FIRING, Kind.WORSENED, Kind.DIGEST, Kind.REPEATED}
    others = {one.state for one in announcement.companions}
    taken = incident.state is State.ACKNOWLEDGED and State.OPEN not in others and not begins
    action = "resolve" if over else "acknowledge" if taken else "trigger"
    event: dict[str, Any] = {"event_action": action, "dedup_key": dedup_key[:255]}
    if action != "trigger":
        return event
    facts = {label: value[:_FACT_LIMIT] for label, value in content.facts}
    event["payload"] = {
        "summary": f"{content.endpoint}: {content.headline}"[:SUMMARY_LIMIT],
        "source": f"{incident.account}/{incident.region}/{content.endpoint}",
        # What nobody looks after speaks; what is worse, and taken, still sets how bad the whole is.
        "severity": max(_list_severities(announcement), key=lambda one: one.rank).value,
        "timestamp": incident.opened_at.isoformat(),
        "class": incident.kind[:SUMMARY_LIMIT],
        "custom_details": {
            "What": content.what,
            **facts,
            "What Sagewatch is doing": content.doing[:_FACT_LIMIT],
            "Next step": content.next_step,
        },
    }
    # One that is no whole address would have the event refused, and nobody paged.
    event["links"] = [
        {"href": link.url, "text": link.label}
        for link in content.links
        if link.url.startswith(("https://", "http://"))
    ]
    return event
