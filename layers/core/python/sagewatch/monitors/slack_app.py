"""The part of monitors.yml that says who may press the buttons of Slack's messages (``slack``)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sagewatch.incident.people import Role
from sagewatch.monitors.receivers import read_secret
from sagewatch.section import Section, read_text

_USER: Final = re.compile("[UW][A-Z0-9]{2,20}")
_TEAM: Final = re.compile("[TE][A-Z0-9]{2,20}")


class SlackApp(msgspec.Struct, frozen=True, kw_only=True):
    """The Slack app whose buttons are answered.

    Attributes
    ----------
    signing
        The NAME of the secret that the app signs its requests with.
    users
        Role of a person, by Slack's user id.
    others
        Role of everybody else.
    team
        The workspace, or organisation, whose people ``others`` are; those of another, in a channel that both share,
        only look unless ``users`` names them. Empty: whoever sees the button.
    """

    signing: str
    users: dict[str, Role] = {}
    others: Role = Role.VIEWER
    team: str = ""

    def find_role(self, user_id: str, team: str = "") -> Role:
        """What a person of a workspace may do."""
        at_home = not self.team or team == self.team
        return self.users.get(user_id, self.others if at_home else Role.VIEWER)


def read_slack_app(section: Section) -> SlackApp:
    """The section ``slack``."""
    section.expect("signing", "users", "others", "team")
    signing = section.take("signing", read_secret, "")
    if not signing:
        raise section.fail("signing", "is missing")
    users: dict[str, Role] = {}
    named = section.section("users", "users")
    for user_id in named.names() if named else ():
        if named is None or not _USER.fullmatch(user_id):
            raise section.fail(
                "users", f"{user_id} is no user id of Slack, such as U024BE7LH (profile, copy member ID)"
            )
        users[user_id] = named.take(user_id, _read_role, Role.VIEWER)
    return SlackApp(
        signing=signing,
        users=users,
        others=section.take("others", _read_role, Role.VIEWER),
        team=section.take("team", _read_team, ""),
    )


def _read_team(value: Any) -> str:
    text = read_text(value)
    if not _TEAM.fullmatch(text):
        raise ValueError(
            f"is no workspace id of Slack, such as T024BE7LH (it is in the address of Slack's web client), not {text}"
        )
    return text


def _read_role(value: Any) -> Role:
    text = read_text(value)
    if text not in tuple(Role):
        raise ValueError(f"must be {', '.join(Role)}, not {text}")
    return Role(text)
