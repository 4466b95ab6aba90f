"""An announcement as JSON for anybody's own receiver, and the signature that proves who sent it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from sagewatch.alert.content import Announcement, build_content
from sagewatch.incident.amounts import clean_text

SCHEMA = 1
NAME_LIMIT = 256
"""Characters of a name from outside; SageMaker's own have 63 at most, a feature's may have any number."""


def render_webhook(announcement: Announcement, group: str) -> dict[str, Any]:
    """What happened, in fields and in words; ``group`` is the same for all messages about one thing."""
    incident, content = announcement.incident, build_content(announcement)
    return {
        "schema": SCHEMA,
        "event": announcement.kind.value,
        "reason": announcement.reason,
        "group": group,
        "incident_id": incident.incident_id,
        "state": incident.state.value,
        "no_longer_judged": incident.ended_unjudged,
        "severity": incident.severity.value,
        "endpoint": clean_text(incident.endpoint, NAME_LIMIT, isolated=False),
        "variant": clean_text(incident.variant, NAME_LIMIT, isolated=False),
        "kind": clean_text(incident.kind, NAME_LIMIT, isolated=False),
        "subject": clean_text(incident.subject, NAME_LIMIT, isolated=False),
        "opened_at": incident.opened_at.isoformat(),
        "headline": content.headline,
        "what": content.what,
        "facts": dict(content.facts),
        "doing": content.doing,
        "next_step": content.next_step,
        "links": [{"label": link.label, "url": link.url} for link in content.links],
        "others": len(announcement.companions),
    }


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """``v1=`` and the hex HMAC-SHA256 of ``<timestamp>.<body>``: old messages cannot be sent again unnoticed.

    Examples
    --------
    >>> sign(b"{}", "s", 0)[:11]
    'v1=e79b1f68'
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"
