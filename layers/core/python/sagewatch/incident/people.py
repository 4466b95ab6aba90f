"""Who may do what to an incident: three roles, each with all that the one below it may."""

from __future__ import annotations

import enum
from typing import Final


class Role(enum.StrEnum):
    """What a person may do. ``viewer`` looks; ``responder`` answers for alerts; ``operator`` touches endpoints too."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    OPERATOR = "operator"


ON_INCIDENTS: Final = ("acknowledge", "silence", "resolve")
ON_ENDPOINTS: Final = ("diagnose", "restore")
ACTIONS: Final = (*ON_INCIDENTS, *ON_ENDPOINTS)

_NEEDS: Final = dict.fromkeys(ON_INCIDENTS, Role.RESPONDER) | dict.fromkeys(ON_ENDPOINTS, Role.OPERATOR)
_ORDER: Final = tuple(Role)


def find_needed_role(action: str) -> Role:
    """The least role that may do it.

    Raises
    ------
    KeyError
        There is no such action.
    """
    return _NEEDS[action]


def may(role: Role, action: str) -> bool:
    """Whether a person of this role may do it.

    Examples
    --------
    >>> may(Role.RESPONDER, "silence"), may(Role.RESPONDER, "diagnose"), may(Role.VIEWER, "acknowledge")
    (True, False, False)
    """
    return _ORDER.index(role) >= _ORDER.index(find_needed_role(action))
