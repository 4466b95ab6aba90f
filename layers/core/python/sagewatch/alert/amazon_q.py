"""An announcement as a custom notification of Amazon Q Developer in chat applications (formerly AWS Chatbot).

It drops what does not fit its schema and tells nobody, so every message is checked before it is published.

Source: Amazon Q Developer in chat applications, "Custom notifications" (event schema; CONTRACTS §13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sagewatch.alert.content import Announcement, Content, build_content
from sagewatch.incident.amounts import clean_text, find_cut

TITLE_LIMIT: Final = 250
DESCRIPTION_LIMIT: Final = 8000
STEPS_LIMIT: Final = 10
STEP_LIMIT: Final = 350
KEYWORDS_LIMIT: Final = 10
SUMMARY_LIMIT: Final = 1000
MESSAGE_LIMIT_BYTES: Final = 256 * 1024
_KEYWORD_LIMIT: Final = 75
_ADDRESS: Final = re.compile("(https?)://", re.IGNORECASE)  # chat programs make links of them
_SIGNS: Final = {
    "RESOLVED": ":large_green_circle:",
    "NO LONGER JUDGED": ":large_yellow_circle:",
    "COMES AND GOES": ":large_yellow_circle:",
}
_TOP: Final = frozenset({"version", "source", "id", "content", "metadata"})
_CONTENT: Final = frozenset({"textType", "title", "description", "nextSteps", "keywords"})
_METADATA: Final = frozenset(
    {"threadId", "summary", "eventType", "relatedResources", "additionalContext", "enableCustomActions"}
)


def render_amazon_q(announcement: Announcement, thread: str, message: str = "") -> dict[str, Any]:
    """The notification.

    Parameters
    ----------
    thread
        The same for all about one thing, which share a thread in the channel.
    message
        Tells this message from others of the thread; one that is sent once more after a crash has the same.
    """
    incident, content = announcement.incident, build_content(announcement)
    sign = _SIGNS.get(content.state, ":red_circle:")
    return {
        "version": "1.0",
        "source": "custom",
        "id": f"{thread}-{announcement.kind}{f'-{message}' if message else ''}",
        "content": {
            "textType": "client-markdown",
            "title": _plain(f"{sign} {content.state}: {content.endpoint}: {content.headline}", TITLE_LIMIT),
            "description": _build_description(content),
            "nextSteps": [_plain(content.next_step, STEP_LIMIT), *_list_links(content)][:STEPS_LIMIT],
            "keywords": [_plain(word, _KEYWORD_LIMIT) for word in (incident.endpoint, incident.kind) if word],
        },
        "metadata": {
            "threadId": thread,
            "summary": _plain(f"{content.state}: {content.headline}", SUMMARY_LIMIT),
            "eventType": f"sagewatch-{announcement.kind}",
            "relatedResources": [_plain(f"{incident.endpoint}/{incident.variant}", SUMMARY_LIMIT)],
            "additionalContext": {"incident": incident.incident_id, "severity": incident.severity.value},
        },
    }


def find_faults(message: Mapping[str, Any]) -> list[str]:
    """What in a notification is off the schema: it would be dropped silently. Nothing where it is well.

    Examples
    --------
    >>> find_faults({"version": "1.0", "source": "custom", "content": {"title": "no description"}})
    ['content.description is missing']
    """
    faults = [f"{name} is no field" for name in message.keys() - _TOP]
    if message.get("version") != "1.0" or message.get("source") != "custom":
        faults.append("version must be 1.0 and source custom")
    content, metadata = message.get("content"), message.get("metadata", {})
    if not isinstance(content, Mapping) or not isinstance(metadata, Mapping):
        return [*faults, "content and metadata must be objects"]
    faults += [f"content.{name} is no field" for name in content.keys() - _CONTENT]
    faults += [f"metadata.{name} is no field" for name in metadata.keys() - _METADATA]
    if not content.get("description"):
        faults.append("content.description is missing")
    if content.get("textType", "client-markdown") != "client-markdown":
        faults.append("content.textType must be client-markdown")
    texts = [("content.title", content.get("title", ""), TITLE_LIMIT)]
    texts.append(("content.description", content.get("description", ""), DESCRIPTION_LIMIT))
    texts.append(("metadata.summary", metadata.get("summary", ""), SUMMARY_LIMIT))
    texts += [("content.nextSteps", step, STEP_LIMIT) for step in content.get("nextSteps", ())]
    for name, text, limit in texts:
        if not isinstance(text, str) or len(text) > limit:
            faults.append(f"{name} is no text of at most {limit} characters")
    lists = [("content.nextSteps", content.get("nextSteps", []), STEPS_LIMIT)]
    lists.append(("content.keywords", content.get("keywords", []), KEYWORDS_LIMIT))
    faults += [f"{name} has more than {most}" for name, values, most in lists if len(values) > most]
    return faults


def _build_description(content: Content) -> str:
    facts = "\n".join(f"*{label}*: {_plain(value, 600)}" for label, value in content.facts)
    doing = _plain(content.doing, 600)
    return f"{_plain(content.what, 1500)}\n\n{facts}\n\n{doing}"[:DESCRIPTION_LIMIT]


def _list_links(content: Content) -> list[str]:
    """Links short enough to be whole: cut, they would lead nowhere."""
    links = (f"<{link.url}|{link.label}>" for link in content.links if link.url.startswith("https://"))
    return [link for link in links if len(link) <= STEP_LIMIT]


def _plain(text: str, limit: int) -> str:
    """Text from outside that mentions nobody and makes no link in a channel's markdown."""
    cleaned = clean_text(text, limit)
    for sign, instead in (("&", "＆"), ("<", "‹"), (">", "›")):
        cleaned = cleaned.replace(sign, instead)
    apart = _ADDRESS.sub("\\1:\u200b//", cleaned.replace("@", "@\u200b"))
    return apart[: find_cut(apart, limit)]
