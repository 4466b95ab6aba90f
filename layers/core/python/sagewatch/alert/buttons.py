"""The buttons under a Slack message: what a person can do about the incident now.

Source: Slack, Block Kit reference (button, confirmation dialog; limits CONTRACTS §13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sagewatch.incident.doing import RUNNING
from sagewatch.incident.model import State
from sagewatch.incident.people import ON_INCIDENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def build_buttons(incident: Incident, others: tuple[str, ...], *, diagnosable: bool) -> dict[str, Any] | None:
    """The ``actions`` block; None where nothing is left to do.

    Parameters
    ----------
    incident
        The one that speaks for the message.
    others
        Ids of those that share it and are not over: what is said about alerts is said about all of them.
    diagnosable
        A diagnosis of the endpoint may be asked for (its owner allows it).
    """
    elements = [_build_button(action, incident, others) for action in _list_actions(incident, diagnosable)]
    return {"type": "actions", "block_id": BLOCK_ID, "elements": elements} if elements else None


def _list_actions(incident: Incident, diagnosable: bool) -> Iterator[str]:
    stage = incident.diagnosis.stage if incident.diagnosis else ""
    if incident.state is not State.RESOLVED:
        if incident.state is State.OPEN:
            yield "acknowledge"
        yield "silence"
        yield "resolve"
        if diagnosable and stage == "off":
            yield "diagnose"
    if stage in RUNNING - {"restoring", "explaining"}:
        yield "restore"


def _build_button(action: str, incident: Incident, others: tuple[str, ...]) -> dict[str, Any]:
    about = (incident.incident_id, *(others if action in ON_INCIDENTS else ()))[:MOST_INCIDENTS]
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
