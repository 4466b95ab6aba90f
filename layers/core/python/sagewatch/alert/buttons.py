"""The buttons under a Slack message: what a person can do about the incident now.

Source: Slack, Block Kit reference (button, confirmation dialog; limits CONTRACTS §13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sagewatch.incident.doing import RUNNING
from sagewatch.incident.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagewatch.alert.content import Companion
    from sagewatch.incident.model import Incident

BLOCK_ID: Final = "sagewatch"
MOST_INCIDENTS: Final = 50
"""A button's value has 2,000 characters, an incident's id at most 38."""

_LABELS: Final = {
    "acknowledge": "Acknowledge",
    "silence": "Silence 1 h",
    "resolve": "Resolve",
    "diagnose": "Diagnose",
    "restore": "Restore endpoint",
}
_CONFIRMED: Final = {
    "resolve": "Nobody is told of it again unless it begins anew.",
    "diagnose": "The endpoint is moved to a variant that records tensors, and back.",
    "restore": "The endpoint goes back to its own configuration now; the diagnosis ends with what it has.",
}


def build_buttons(
    incident: Incident, companions: Sequence[Companion], *, diagnosable: bool
) -> dict[str, Any] | None:
    """The ``actions`` block; None where nothing is left to do.

    Parameters
    ----------
    incident
        The one that speaks for the message.
    companions
        Those that share it: what is said about alerts is said about all of them that it can be said of.
    diagnosable
        A diagnosis of the endpoint may be asked for (its owner allows it).
    """
    states = {incident.incident_id: incident.state, **{one.incident_id: one.state for one in companions}}
    open_ = tuple(name for name, state in states.items() if state is not State.RESOLVED)
    untaken = tuple(name for name in open_ if states[name] is State.OPEN)
    actions = dict(_list_actions(incident, open_, untaken, diagnosable=diagnosable))
    elements = [_build_button(action, about) for action, about in actions.items()]
    return {"type": "actions", "block_id": BLOCK_ID, "elements": elements} if elements else None


def _list_actions(
    incident: Incident, open_: tuple[str, ...], untaken: tuple[str, ...], *, diagnosable: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What can be done, and to which incidents."""
    stage = incident.diagnosis.stage if incident.diagnosis else ""
    if untaken:
        yield "acknowledge", untaken
    if open_:
        yield "silence", open_
        yield "resolve", open_
    if incident.incident_id in open_ and diagnosable and stage == "off":
        yield "diagnose", (incident.incident_id,)
    if stage in RUNNING - {"restoring", "explaining"}:
        yield "restore", (incident.incident_id,)


def _build_button(action: str, concerned: tuple[str, ...]) -> dict[str, Any]:
    about = concerned[:MOST_INCIDENTS]
    all_of = f" all {len(about)}" if len(about) > 1 else ""
    button: dict[str, Any] = {
        "type": "button",
        "text": {"type": "plain_text", "text": f"{_LABELS[action]}{all_of}"},
        "action_id": action,
        "value": " ".join(about),
    }
    if action == "acknowledge":
        button["style"] = "primary"
    if action in _CONFIRMED:
        button["confirm"] = {
            "title": {"type": "plain_text", "text": f"{_LABELS[action]}?"},
            "text": {"type": "plain_text", "text": _CONFIRMED[action]},
            "confirm": {"type": "plain_text", "text": _LABELS[action]},
            "deny": {"type": "plain_text", "text": "Cancel"},
        }
    return button
