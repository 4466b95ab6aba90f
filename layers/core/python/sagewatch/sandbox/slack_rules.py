"""What Slack refuses in a message, by its own error codes. Pure. Limits: CONTRACTS §13, docs.slack.dev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_BLOCKS = 50
MAX_TEXT = 40_000
LIMITS = {
    # (block type, path to a text) -> characters
    ("section", "text.text"): 3000,
    ("header", "text.text"): 150,
    ("image", "alt_text"): 2000,
    ("image", "image_url"): 3000,
    ("image", "title.text"): 2000,
    ("markdown", "text"): 12_000,
}
MAX_ID = 255
LIST_LIMITS = {("section", "fields"): 10, ("context", "elements"): 10, ("actions", "elements"): 25}
MAX_FIELD = 2000
BUTTON_LIMITS = {
    "text.text": 75,
    "value": 2000,
    "url": 3000,
    "action_id": MAX_ID,
    "confirm.title.text": 100,
    "confirm.text.text": 300,
    "confirm.confirm.text": 30,
    "confirm.deny.text": 30,
}
TEXT_KEYS = {
    "plain_text": frozenset({"type", "text", "emoji"}),
    "mrkdwn": frozenset({"type", "text", "verbatim"}),
}
BLOCK_TYPES = frozenset(
    {"section", "header", "image", "markdown", "context", "actions", "divider", "rich_text", "table"}
)


class RefusedError(Exception):
    """Slack's `ok: false`.

    Parameters
    ----------
    code
        Such as ``channel_not_found``.
    details
        For `response_metadata.messages`.
    """

    def __init__(self, code: str, details: list[str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = details or []


def find(value: Any, path: str) -> Any:
    """What a dotted path names in nested dictionaries; None where it names nothing."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def too_long(value: Any, limit: int) -> bool:
    """Whether a text exceeds a limit; an absent one does not."""
    return isinstance(value, str) and len(value) > limit


def broken_text(value: Any) -> str | None:
    """What is wrong with a text object: its type, its keys, or that it says nothing."""
    if not isinstance(value, dict) or value.get("type") not in TEXT_KEYS:
        return "text must be plain_text or mrkdwn"
    if not isinstance(value.get("text"), str) or not value["text"]:
        return "must be more than 0 characters"
    if unknown := value.keys() - TEXT_KEYS[value["type"]]:
        return f"invalid additional property: {min(unknown)}"
    return None


def list_texts(block: Mapping[str, Any]) -> list[Any]:
    """The text objects of a block."""
    elements = block.get("elements", [])
    texts = [*block.get("fields", []), *([block["text"]] if block.get("text") else [])]
    if block["type"] == "context":
        return texts + [one for one in elements if find(one, "type") != "image"]
    if block["type"] == "actions":
        texts += [find(one, "text") for one in elements if find(one, "type") == "button"]
    return texts


def broken_button(element: Mapping[str, Any]) -> str | None:
    """What is wrong with an element of an actions block."""
    for path, limit in BUTTON_LIMITS.items():
        if too_long(find(element, path), limit):
            return f"{path} longer than {limit}"
    return None


def lacking(block: Mapping[str, Any]) -> str | None:
    """What a block of its type must have and has not."""
    kind = block["type"]
    if kind == "section" and not block.get("text") and not block.get("fields"):
        return "section without text and fields"
    if kind == "header" and find(block, "text.type") != "plain_text":
        return "header must be plain_text"
    if kind == "image" and not block.get("alt_text"):
        return "image without alt_text"
    if kind in {"context", "actions"} and not block.get("elements"):
        return "must provide elements"
    named = [find(item, "action_id") for item in block.get("elements", [])] if kind == "actions" else []
    return "action_id already exists" if len(set(named)) < len(named) else None


def broken_block(block: Any) -> str | None:
    """What is wrong with one block, in words; None where nothing is."""
    if not isinstance(block, dict) or block.get("type") not in BLOCK_TYPES:
        return f"unknown type {block.get('type') if isinstance(block, dict) else block!r}"
    kind = block["type"]
    if too_long(block.get("block_id"), MAX_ID):
        return f"block_id longer than {MAX_ID}"
    for (block_type, path), limit in LIMITS.items():
        if block_type == kind and too_long(find(block, path), limit):
            return f"{path} longer than {limit}"
    for (block_type, key), limit in LIST_LIMITS.items():
        if block_type == kind and len(block.get(key, [])) > limit:
            return f"more than {limit} {key}"
    if any(too_long(find(item, "text"), MAX_FIELD) for item in block.get("fields", [])):
        return f"field longer than {MAX_FIELD}"
    broken = [broken_button(item) for item in block.get("elements", [])] if kind == "actions" else []
    if kind in {"section", "header", "context", "actions"}:
        broken += [broken_text(text) for text in list_texts(block)]
    return next((reason for reason in broken if reason), lacking(block))


def refuse_message(
    message: Mapping[str, Any], known_files: Sequence[str] = ()
) -> tuple[str, list[str]] | None:
    """Slack's error code for a message and its details; None for a message that it takes.

    Parameters
    ----------
    message
        What `chat.postMessage` or a webhook gets.
    known_files
        Ids of uploaded files, which `slack_file` may name.

    Examples
    --------
    >>> refuse_message({"blocks": [{"type": "divider"}] * 51})
    ('invalid_blocks', ['no more than 50 items allowed'])
    >>> refuse_message({"text": "hello"}) is None
    True
    """
    blocks = message.get("blocks") or []
    if not message.get("text") and not blocks and not message.get("attachments"):
        return "no_text", []
    if too_long(message.get("text"), MAX_TEXT):
        return "msg_too_long", []
    if len(blocks) > MAX_BLOCKS:
        return "invalid_blocks", [f"no more than {MAX_BLOCKS} items allowed"]
    broken = [(index, broken_block(block)) for index, block in enumerate(blocks)]
    details = [f"{reason} [json-pointer:/blocks/{index}]" for index, reason in broken if reason]
    named = [find(block, "block_id") for block in blocks if find(block, "block_id")]
    if len(set(named)) < len(named):
        details.append("block_id already exists")
    if details:
        return "invalid_blocks", details
    files = [find(block, "slack_file.id") for block in blocks]
    missing = [file for file in files if file is not None and file not in known_files]
    if missing:
        return "invalid_blocks", [f"invalid slack file {file}" for file in missing]
    return None
