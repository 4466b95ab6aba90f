"""What Slack refuses in a message, by its own error codes. Pure. Limits: CONTRACTS §13, docs.slack.dev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.slack_elements import (
    IMAGE_KEYS,
    MAX_ID,
    broken_action,
    broken_image,
    broken_text,
    find,
    too_long,
    unknown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_BLOCKS = 50
MAX_TEXT = 40_000
MAX_BLOCKS_TEXT = 13_000
"""Of all blocks together; not documented. One block of text was refused from 13,297 on (slackapi/bolt-js, issue 2509)."""
LIMITS = {
    # (block type, path to a text) -> characters
    ("section", "text.text"): 3000,
    ("header", "text.text"): 150,
    ("image", "alt_text"): 2000,
    ("image", "image_url"): 3000,
    ("image", "title.text"): 2000,
    ("markdown", "text"): 12_000,
}
LIST_LIMITS = {("section", "fields"): 10, ("context", "elements"): 10, ("actions", "elements"): 25}
MAX_FIELD = 2000
# Beside ``type`` and ``block_id``.
BLOCK_KEYS = {
    "section": {"text", "fields", "accessory", "expand"},
    "header": {"text"},
    "image": {"alt_text", "image_url", "slack_file", "title"},
    "markdown": {"text"},
    "context": {"elements"},
    "actions": {"elements"},
    "divider": set[str](),
    "rich_text": {"elements"},
    "table": {"rows", "column_settings"},
}


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


def list_texts(block: Mapping[str, Any]) -> list[Any]:
    """The text objects of a block."""
    elements = block.get("elements", [])
    texts = [*block.get("fields", []), *([block["text"]] if block.get("text") else [])]
    if block["type"] == "context":
        texts += [one for one in elements if find(one, "type") != "image"]
    return texts


def lacking(block: Mapping[str, Any]) -> str | None:
    """What a block of its type must have and has not."""
    kind = block["type"]
    if kind == "section" and not block.get("text") and not block.get("fields"):
        return "section without text and fields"
    if kind == "header" and find(block, "text.type") != "plain_text":
        return "header must be plain_text"
    if kind == "image" and (broken := broken_image(block)):
        return broken
    if kind in {"context", "actions"} and not block.get("elements"):
        return "must provide elements"
    named = [find(item, "action_id") for item in block.get("elements", [])] if kind == "actions" else []
    return "action_id already exists" if len(set(named)) < len(named) else None


def broken_block(block: Any) -> str | None:
    """What is wrong with one block, in words; None where nothing is."""
    if not isinstance(block, dict) or block.get("type") not in BLOCK_KEYS:
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
    return next((reason for reason in list_faults(block) if reason), lacking(block))


def list_faults(block: Mapping[str, Any]) -> Iterator[str | None]:
    """What is wrong with a block's properties and parts; None for what is well."""
    kind, elements = block["type"], block.get("elements", [])
    yield unknown(block, {"type", "block_id", *BLOCK_KEYS[kind]})
    if kind == "actions":
        yield from map(broken_action, elements)
    if kind == "context":
        images = [item for item in elements if find(item, "type") == "image"]
        yield from (broken_image(item) or unknown(item, IMAGE_KEYS) for item in images)
    if kind in {"section", "header", "context"}:
        yield from map(broken_text, list_texts(block))


def measure_texts(value: Any) -> int:
    """Characters of all texts in blocks, wherever they stand."""
    if isinstance(value, list):
        return sum(map(measure_texts, value))
    if not isinstance(value, dict):
        return 0
    return sum(
        len(one) if name == "text" and isinstance(one, str) else measure_texts(one)
        for name, one in value.items()
    )


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
    if not isinstance(blocks, list):
        return "invalid_blocks_format", []
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
    if measure_texts(blocks) > MAX_BLOCKS_TEXT:
        return "msg_blocks_too_long", []
    files = [find(block, "slack_file.id") for block in blocks]
    missing = [file for file in files if file is not None and file not in known_files]
    if missing:
        return "invalid_blocks", [f"invalid slack file {file}" for file in missing]
    return None
