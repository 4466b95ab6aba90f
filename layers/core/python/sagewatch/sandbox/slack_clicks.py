"""Somebody presses a button in the local Slack: the signed request that the real one would send.

Source: Slack, "Handling user interaction" (block_actions) and "Verifying requests from Slack".
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import msgspec

from sagewatch.events.slack import sign_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SLACK_WAITS_SECONDS = 3


class Press(msgspec.Struct, frozen=True):
    """What came of a press: the status that Slack saw, and whether it came in time."""

    status: int
    in_time: bool


class NoSuchButtonError(LookupError):
    """The message has no such button."""


def find_button(message: Mapping[str, Any], action: str) -> dict[str, Any]:
    """A button of a message.

    Raises
    ------
    NoSuchButtonError
        It has none of that name; says which it has.
    """
    buttons = {button["action_id"]: button for button in _list_buttons(message)}
    if action not in buttons:
        raise NoSuchButtonError(f"no button {action}; there are {', '.join(buttons) or 'none'}")
    return buttons[action]


def build_press(
    message: Mapping[str, Any], action: str, user: tuple[str, str], at: float, answer_to: str
) -> bytes:
    """The body of the request: a form with the field ``payload``."""
    button = find_button(message, action)
    payload = {
        "type": "block_actions",
        "user": {"id": user[0], "username": user[1], "name": user[1], "team_id": "T00000000"},
        "api_app_id": "A00000000",
        "container": {"type": "message", "message_ts": message["ts"]},
        "channel": {"id": "C00000001", "name": message["channel"]},
        "message": {"ts": message["ts"], "text": message.get("text", "")},
        "response_url": answer_to,
        "actions": [
            {
                "action_id": button["action_id"],
                "block_id": "sagewatch",
                "text": button["text"],
                "value": button.get("value", ""),
                "type": "button",
                "action_ts": f"{at:.6f}",
            }
        ],
    }
    return urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()


def post_press(url: str, body: bytes, secret: str, at: float) -> Press:
    """Send it, signed; Slack gives up after three seconds."""
    stamp = str(int(at))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": sign_request(body, stamp, secret),
    }
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  our own
    try:
        with urllib.request.urlopen(request, timeout=SLACK_WAITS_SECONDS) as answer:  # noqa: S310
            return Press(answer.status, in_time=True)
    except urllib.error.HTTPError as error:
        return Press(error.code, in_time=True)
    except TimeoutError:
        return Press(0, in_time=False)


def _list_buttons(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for block in message.get("blocks", []):
        if block["type"] == "actions":
            yield from block["elements"]
