"""Somebody pressed a button in Slack: is it Slack, may this person, then the wish goes on the bus.

Answered within Slack's three seconds because nothing is carried out here. What follows is in the queues of
``manage_incident`` and ``advance_diagnosis``, which do it once however often it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sagewatch.errors import ConfigurationError, RejectedInputError, RetryError
from sagewatch.events import ActionRequested
from sagewatch.events.slack import (
    Clicked,
    SlackRequest,
    is_fresh,
    is_signed,
    parse_click,
    parse_slack_request,
)
from sagewatch.incident.amounts import clean_text
from sagewatch.incident.people import ACTIONS, find_needed_role, may
from sagewatch.monitors.slack_app import SlackApp
from sagewatch.observability import get_logger
from sagewatch.world import Desk

Answer = dict[str, Any]
_NAME_LIMIT = 80
_ID_LIMIT = 100
_SPENT = timedelta(seconds=1.5)
"""After so long a press is answered without words: Slack waits for three seconds, and the words may take one."""
_WORDS = {
    "acknowledge": "The incident is being acknowledged in your name.",
    "silence": "The incident is being silenced for an hour, in your name.",
    "resolve": "The incident is being resolved in your name.",
    "diagnose": "A diagnosis is being asked for; the message will say what came of it.",
    "restore": "The endpoint is going back to its own configuration.",
}


def slack_action(event: Mapping[str, Any], desk: Desk) -> Answer:
    """The HTTP answer to a request at the function's address.

    Parameters
    ----------
    event
        As a function URL hands it over.
    """
    app = desk.monitors.slack
    if app is None:
        return _answer(404, "no_buttons_are_answered")
    began = desk.now()
    try:
        request = parse_slack_request(event)
        if not is_fresh(request, began):
            return _answer(401, "stale_request")
        if not _is_slacks(request, app, desk):
            return _answer(401, "bad_signature")
        click = parse_click(request)
    except ConfigurationError as error:
        return _answer(503, "no_signing_secret", key=error.key)
    except RejectedInputError as error:
        return _answer(400, "unreadable_request", key=error.key)
    except RetryError as error:
        # Slack shows the person that it did not work, who presses again; nothing was done.
        return _answer(503, error.reason)
    if click is None or click.action not in ACTIONS or not click.incidents:
        return _answer(200, "nothing_asked_for")
    return _take(click, app, desk, began)


def _is_slacks(request: SlackRequest, app: SlackApp, desk: Desk) -> bool:
    """Whether it is signed by the secret as it is known, or by the one that has replaced it."""
    known = desk.get_secret(app.signing).strip()
    if is_signed(request, known):
        return True
    fresh = desk.refresh_secret(app.signing).strip()
    return fresh != known and is_signed(request, fresh)


def _take(click: Clicked, app: SlackApp, desk: Desk, began: datetime) -> Answer:
    role = app.find_role(click.user_id, click.team)
    if not may(role, click.action):
        needed = find_needed_role(click.action)
        words = (
            f"This takes the role {needed}; yours is {role}. Nothing was changed. Roles stand in monitors.yml "
            f"(slack.users); your user id is {clean_text(click.user_id, _ID_LIMIT)}."
        )
        _tell(click, words, desk, began)
        return _answer(200, "not_allowed", user=click.user_id, action=click.action)
    by = f"{clean_text(click.user_name, _NAME_LIMIT) or 'somebody'} (Slack {clean_text(click.user_id, _ID_LIMIT)})"
    place = desk.place
    facts = [
        ActionRequested(
            action=click.action,
            incident_id=incident_id[:_ID_LIMIT],
            by=by,
            at=click.at,
            account=place.account,
            region=place.region,
        )
        for incident_id in click.incidents
    ]
    try:
        desk.bus.publish(facts, desk.now())
    except RetryError as error:
        return _answer(503, error.reason, action=click.action)
    _tell(click, _WORDS[click.action], desk, began)
    return _answer(200, "action_taken", user=click.user_id, action=click.action)


def _tell(click: Clicked, words: str, desk: Desk, began: datetime) -> None:
    """An answer for this person's eyes; where it cannot be given in time, the message itself will tell."""
    if not click.answer_to:
        return
    if desk.now() - began > _SPENT:
        get_logger().info("answer_not_taken", reason="no_time_left")
        return
    try:
        desk.answer_privately(click.answer_to, words)
    except RetryError as error:
        get_logger().info("answer_not_taken", reason=error.reason)


def _answer(
    status: int, decision: str, *, user: str | None = None, action: str | None = None, key: str | None = None
) -> Answer:
    get_logger().info("slack_request", decision=decision, user=user, action=action, key=key)
    body = "" if status == 200 else decision  # noqa: PLR2004 (HTTP)
    return {"statusCode": status, "headers": {"Content-Type": "text/plain"}, "body": body}
