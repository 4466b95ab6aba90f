"""What Slack refuses in the parts of blocks: texts, buttons, images. Pure. Source: docs.slack.dev, CONTRACTS §13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ID: Final = 255
MAX_TEXT_OBJECT: Final = 3000
BUTTON_LIMITS: Final = {
    "text.text": 75,
    "value": 2000,
    "url": 3000,
    "action_id": MAX_ID,
    "accessibility_label": 75,
    "confirm.title.text": 100,
    "confirm.text.text": 300,
    "confirm.confirm.text": 30,
    "confirm.deny.text": 30,
}
STYLES: Final = frozenset({"primary", "danger"})
TEXT_KEYS: Final = {
    "plain_text": frozenset({"type", "text", "emoji"}),
    "mrkdwn": frozenset({"type", "text", "verbatim"}),
}
BUTTON_KEYS: Final = frozenset(
    {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
)
CONFIRM_TEXTS: Final = ("title", "text", "confirm", "deny")
IMAGE_KEYS: Final = frozenset({"type", "alt_text", "image_url", "slack_file"})
ACTION_TYPES: Final = frozenset(
    {"button", "checkboxes", "datepicker", "datetimepicker", "overflow", "radio_buttons", "timepicker"}
    | {"workflow_button", "feedback_buttons", "icon_button"}
    | {
        f"{many}{what}_select"
        for many in ("", "multi_")
        for what in ("static", "external", "users", "conversations", "channels")
    }
)


def find(value: Any, path: str) -> Any:
    """What a dotted path names in nested dictionaries; None where it names nothing."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def too_long(value: Any, limit: int) -> bool:
    """Whether a text exceeds a limit; an absent one does not."""
    return isinstance(value, str) and len(value) > limit


def broken_text(value: Any, *, plain: bool = False) -> str | None:
    """What is wrong with a text object: its type, its keys, its length, or that it says nothing."""
    if not isinstance(value, dict) or value.get("type") not in TEXT_KEYS:
        return "text must be plain_text or mrkdwn"
    if plain and value["type"] != "plain_text":
        return "text must be plain_text"
    if not isinstance(value.get("text"), str) or not value["text"]:
        return "must be more than 0 characters"
    if too_long(value["text"], MAX_TEXT_OBJECT):
        return f"text longer than {MAX_TEXT_OBJECT}"
    return unknown(value, TEXT_KEYS[value["type"]])


def broken_action(element: Any) -> str | None:
    """What is wrong with an element of an actions block; of those that are no buttons only the type is looked at."""
    kind = find(element, "type")
    if kind not in ACTION_TYPES:
        return f"unsupported element type {kind}"
    return broken_button(element) if kind == "button" else None


def broken_button(button: Mapping[str, Any]) -> str | None:
    """What is wrong with a button."""
    for path, limit in BUTTON_LIMITS.items():
        if too_long(find(button, path), limit):
            return f"{path} longer than {limit}"
    if "style" in button and button["style"] not in STYLES:
        return f"style must be one of {', '.join(sorted(STYLES))}"
    broken = broken_text(button.get("text"), plain=True) or unknown(button, BUTTON_KEYS)
    return broken or (broken_confirm(button["confirm"]) if "confirm" in button else None)


def broken_confirm(confirm: Any) -> str | None:
    """What is wrong with the question that a button asks back: all four texts are wanted."""
    if not isinstance(confirm, dict):
        return "confirm must be an object"
    if "style" in confirm and confirm["style"] not in STYLES:
        return f"confirm.style must be one of {', '.join(sorted(STYLES))}"
    broken = (broken_text(confirm.get(name), plain=True) for name in CONFIRM_TEXTS)
    return next((reason for reason in broken if reason), None) or unknown(confirm, {*CONFIRM_TEXTS, "style"})


def broken_image(image: Mapping[str, Any]) -> str | None:
    """What is wrong with an image, as a block or in a context: it needs words, and one place that it comes from."""
    if not image.get("alt_text"):
        return "image without alt_text"
    if ("image_url" in image) == ("slack_file" in image):
        return "image needs image_url or slack_file"
    if "image_url" in image and not str(image["image_url"]).startswith(("https://", "http://")):
        return "image_url is no address"
    return None


def unknown(value: Mapping[str, Any], known: frozenset[str] | set[str]) -> str | None:
    """Slack takes no property that it does not know."""
    more = value.keys() - known
    return f"invalid additional property: {min(more)}" if more else None
