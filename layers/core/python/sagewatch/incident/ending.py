"""How an incident ended, in words: by its evidence, or because a person said so, which is not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sagewatch.incident.amounts import clean_text, format_duration
from sagewatch.incident.describe import NAME_LIMIT

if TYPE_CHECKING:
    from sagewatch.incident.description import Description
    from sagewatch.incident.model import Incident

REASON_LIMIT = 300
"""Characters of a person's reason that are shown."""
_HEADLINE_LIMIT = 120
_UNJUDGED = "This is no longer judged: monitors.yml (or a new version of Sagewatch) took its detector out or set it anew."


class Ending(msgspec.Struct, frozen=True):
    """An end in words. Plain text: each channel escapes it for itself.

    Attributes
    ----------
    headline
        What ended it, in a few words.
    what
        The same in a sentence or two, with who said so and whether the evidence agreed.
    beware
        What the reader should know of what may come; empty where it is plainly over.
    """

    headline: str
    what: str
    beware: str = ""


def tell_ending(incident: Incident, description: Description) -> Ending:
    """The end of a resolved incident.

    Parameters
    ----------
    description
        Of its latest finding.
    """
    if incident.ended_unjudged:
        return Ending(
            headline=description.headline,
            what=f"{_UNJUDGED} The evidence had not fallen back when it was last judged.",
            beware="Nobody knows whether it goes on: look for yourself, and see that monitors.yml watches what it should. ",
        )
    if not incident.resolved_by_hand:
        return Ending(description.over, f"{description.over}.")
    who = clean_text(incident.resolved_by or "", NAME_LIMIT)
    why = clean_text(incident.resolution, REASON_LIMIT).rstrip(".")
    because = f": {why}" if why else ""
    goes_on = any(one.cleared_at is None for one in incident.findings)
    evidence = _UNJUDGED if incident.no_longer_judged else "The evidence had fallen back."
    evidence = "The evidence had not fallen back." if goes_on else evidence
    return Ending(
        headline=clean_text(f"Resolved by {who}{because}", _HEADLINE_LIMIT),
        what=f"Resolved by hand by {who}{because}. {evidence}",
        beware="This episode alerts again only if it gets worse; a new one does. " if goes_on else "",
    )


def name_beside(incident: Incident, description: Description) -> str:
    """The incident in a few words, among others of a message that says of each whether it is over."""
    return description.headline + (", no longer judged" if incident.ended_unjudged else "")


def tell_length(incident: Incident) -> str:
    """How long it lasted; so far, where it is not over."""
    return format_duration((incident.resolved_at or incident.updated_at) - incident.opened_at)
