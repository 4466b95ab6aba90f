"""Which group an incident joins: one with room, and never a second one at the same receiver."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from sagewatch.alert.outbox import Ledger, Member
from sagewatch.alert_state import GROUP_LIMIT, AlertState
from sagewatch.errors import ConflictError
from sagewatch.finding import Severity
from sagewatch.incident.model import State
from sagewatch.memory.items import MemoryItems

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TARGET = "on-call/slack"


@pytest.fixture
def alerts():
    return AlertState(MemoryItems())


def fill(alerts, group, members, told_at=NOW):
    alerts.save_ledger(Ledger(group=group, receiver=TARGET, members=members, told_at=told_at))


def member(**changes):
    plain = Member(
        incident_id="i1", labels={}, state=State.OPEN, severity=Severity.INFO, headline="h", opened_at=NOW,
        joined_at=NOW, seen=1, content="c",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def test_a_group_has_room_until_its_limit(alerts):
    assert alerts.find_room("g", TARGET, NOW) == "g"
    fill(alerts, "g", GROUP_LIMIT - 1)
    assert alerts.find_room("g", TARGET, NOW) == "g"


def test_full_ones_are_passed_over_for_the_first_with_room(alerts):
    fill(alerts, "g", GROUP_LIMIT)
    assert alerts.find_room("g", TARGET, NOW) == "g-part2"
    fill(alerts, "g-part2", GROUP_LIMIT + 7)
    assert alerts.find_room("g", TARGET, NOW) == "g-part3"


def test_a_full_one_has_room_again_when_its_ended_members_are_gone(alerts):
    fill(alerts, "g", GROUP_LIMIT)
    assert alerts.find_room("g", TARGET, NOW + timedelta(days=3, hours=23)) == "g-part2"
    assert alerts.find_room("g", TARGET, NOW + timedelta(days=4)) == "g"


def test_an_incident_joins_one_group_of_a_receiver_however_the_runs_cross(alerts):
    alerts.join_group("g", TARGET, member())
    with pytest.raises(ConflictError, match="joined_another_group"):
        alerts.join_group("g-part2", TARGET, member())
    assert alerts.load_member("g-part2", TARGET, "i1") is None
    assert alerts.join_group("g", TARGET, member(seen=2)).seen == 2
    alerts.join_group("another", "on-call/webhook", member())
