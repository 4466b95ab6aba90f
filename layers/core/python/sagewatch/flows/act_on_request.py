"""What a person asked for by a button is carried out: once, however often the request comes."""

from __future__ import annotations

from datetime import timedelta

from sagewatch.errors import RejectedInputError
from sagewatch.events import ActionRequested
from sagewatch.flows.act_by_hand import (
    acknowledge_incident,
    build_incident_matchers,
    note_silence,
    resolve_incident,
)
from sagewatch.incident.muting import Silence, build_silence
from sagewatch.observability import get_logger
from sagewatch.world import World

SILENCED_FOR = timedelta(hours=1)
DOUBLE_CLICK = timedelta(minutes=1)
BY_BUTTON = "by a button in Slack"


def carry_out(fact: ActionRequested, world: World) -> None:
    """Acknowledge, silence or resolve the incident; what has been done already is left as it is.

    Raises
    ------
    RejectedInputError
        There is no such incident.
    """
    match fact.action:
        case "acknowledge":
            acknowledge_incident(fact.incident_id, by=fact.by, world=world, asked_at=fact.at)
        case "resolve":
            resolve_incident(fact.incident_id, by=fact.by, reason=BY_BUTTON, world=world)
        case "silence":
            _silence(fact, world)
        case _:
            return  # the diagnosis's business
    get_logger().info("action_carried_out", decision=fact.action, incident_id=fact.incident_id)


def _silence(fact: ActionRequested, world: World) -> None:
    """An hour from the press of the button, unless somebody had wished for that a moment before."""
    incident = world.state.load_incident(fact.incident_id)
    if incident is None:
        raise RejectedInputError("there is no such incident", where="incident", key=fact.incident_id)
    matchers = build_incident_matchers(incident)
    silence = build_silence(matchers, fact.at, fact.at + SILENCED_FOR, by=fact.by, reason=BY_BUTTON)
    if world.alerts.load_silence(silence.silence_id) is not None:
        return  # carried out before; perhaps ended by hand since
    # As it stood when the button was pressed: one that was ended by hand since was the same wish all the same.
    if any(_is_same_wish(one, silence) for one in world.alerts.list_silences(fact.at)):
        return
    # The trail first: what is written twice is one line, and a silence that nobody can trace is none.
    note_silence(fact.incident_id, silence, fact.at, world)
    world.alerts.save_silence(silence)


def _is_same_wish(one: Silence, wished: Silence) -> bool:
    """Whether it began within a minute, by whomever, and mutes the same for an hour at least."""
    if one.every is not None or one.matchers != wished.matchers:
        return False
    # An end that was moved hides how long it was to be; by a button it was an hour.
    lasts = one.reason == BY_BUTTON or one.ends_at - one.starts_at >= SILENCED_FOR
    return lasts and abs(one.starts_at - wished.starts_at) < DOUBLE_CLICK
