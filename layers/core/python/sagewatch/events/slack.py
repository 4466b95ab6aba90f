"""What Slack posts when somebody presses a button: proven to be Slack's, then read.

Source: Slack, "Verifying requests from Slack" (v0 signature, five minutes) and "Handling user interaction"
(block_actions payload); AWS Lambda, function URL payload format 2.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from sagewatch.errors import RejectedInputError

FRESH_FOR: Final = timedelta(minutes=5)
BODY_LIMIT_BYTES: Final = 256 * 1024
MOST_INCIDENTS: Final = 50
_WHERE: Final = "request from Slack"
_HIGHEST: Final = 1e11  # a timestamp beyond it is no time that Python knows


class SlackRequest(msgspec.Struct, frozen=True):
    """A POST as it arrived: nothing in it is believed yet."""

    body: bytes
    timestamp: str
    signature: str


class Clicked(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody pressed a button.

    Attributes
    ----------
    action, incidents
        The button, and the ids of the incidents that it is about; not checked yet.
    user_id, user_name
        Who, as Slack knows them.
    at
        When the button was pressed: Slack sends the same time with each repetition.
    answer_to
        Where an answer that only this person sees is posted.
    team
        The person's own workspace, or organisation in an Enterprise one; in a channel shared by Slack Connect it may be
        another than the app's. Empty where Slack does not say.
    """

    action: str
    incidents: tuple[str, ...]
    user_id: str
    user_name: str
    at: datetime
    answer_to: str
    team: str = ""


def parse_slack_request(event: Mapping[str, Any]) -> SlackRequest:
    """A function URL's event.

    Raises
    ------
    RejectedInputError
        Its body cannot be read, or is larger than Slack's ever are.
    """
    headers = {str(name).lower(): str(value) for name, value in dict(event.get("headers") or {}).items()}
    body = str(event.get("body") or "").encode(errors="replace")
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error:
            raise RejectedInputError("is no base64", where=_WHERE, key="body") from None
    if len(body) > BODY_LIMIT_BYTES:
        raise RejectedInputError("is too large", where=_WHERE, key="body")
    return SlackRequest(
        body, headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    )


def is_fresh(request: SlackRequest, now: datetime) -> bool:
    """Whether it was signed within five minutes of now: an old request, caught and sent again, is refused."""
    if not request.timestamp.isdecimal() or float(request.timestamp) > _HIGHEST:
        return False
    return abs(now - datetime.fromtimestamp(int(request.timestamp), UTC)) <= FRESH_FOR


def sign_request(body: bytes, timestamp: str, secret: str) -> str:
    """Slack's signature of a body.

    Examples
    --------
    >>> sign_request(b"payload=%7B%7D", "1531420618", "8f742231b10e8888abcd99yyyzzz85a5")[:12]
    'v0=90020873e'
    """
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def is_signed(request: SlackRequest, secret: str) -> bool:
    """Whether Slack signed it; takes as long for a wrong signature as for the right one. Nothing is signed by nothing."""
    if not secret.strip():
        return False
    expected = sign_request(request.body, request.timestamp, secret)
    return hmac.compare_digest(expected.encode(), request.signature.encode(errors="replace"))


def parse_click(request: SlackRequest) -> Clicked | None:
    """Which button was pressed by whom; None for what is no press of a button (a check of the connection).

    Raises
    ------
    RejectedInputError
        It lacks what it must have; names the key.
    """
    form = urllib.parse.parse_qs(request.body.decode("utf-8", "replace"))
    if "payload" not in form:
        return None
    try:
        payload = msgspec.convert(msgspec.json.decode(form["payload"][0]), _Payload)
    except msgspec.MsgspecError as error:
        raise RejectedInputError(str(error), where=_WHERE, key="payload") from None
    if payload.type != "block_actions" or not payload.actions:
        return None
    pressed = payload.actions[0]
    try:
        at = datetime.fromtimestamp(float(pressed.action_ts), UTC)
    except (ValueError, OverflowError, OSError):
        raise RejectedInputError("is no time", where=_WHERE, key="action_ts") from None
    return Clicked(
        action=pressed.action_id,
        incidents=tuple(pressed.value.split())[:MOST_INCIDENTS],
        user_id=payload.user.id,
        user_name=payload.user.username or payload.user.name,
        at=at,
        answer_to=payload.response_url,
        team=payload.user.team_id,
    )


class _Action(msgspec.Struct):
    action_id: str
    action_ts: str
    value: str = ""


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""
    team_id: str = ""


class _Payload(msgspec.Struct):
    type: str
    user: _User
    actions: list[_Action] = []
    response_url: str = ""
