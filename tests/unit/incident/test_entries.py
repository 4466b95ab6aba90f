"""The trail is told in order of time, and of one moment cause stands before effect, however it was stored."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from sagewatch.incident.model import Entry
from sagewatch.memory.items import MemoryItems
from sagewatch.state import State

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
IN_ORDER = ["finding_raised", "incident_opened", "diagnosis_off", "alert_sent"]


def test_entries_of_one_moment_are_read_in_the_order_of_cause_and_effect():
    for count, order in enumerate(itertools.permutations(IN_ORDER)):
        state = State(MemoryItems())
        # The reason is in the key under which a line is stored, so each round stores them in another order.
        state.add_entries("i", [Entry(AT, what, f"r{count}", "b") for what in order])
        assert [entry.what for entry in state.load_entries("i")] == IN_ORDER
