"""What came of a rehearsal is said once it is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.cli.replays import Told, tell_replay
from tests.unit.flows.worlds import NOW


@pytest.mark.parametrize(
    ("incidents", "changes", "said"),
    [
        ((), {"settled": False}, "no incident so far"),
        ((), {}, "no incident"),
        (("a",), {"settled": False}, "1 incident"),
        (("a", "b"), {}, "2 incidents"),
        (None, {}, "gone"),
        (None, {"live": True}, "live: see the real incidents"),
    ],
)
def test_a_rehearsal_that_has_just_been_played_is_not_said_to_have_found_nothing(incidents, changes, said):
    """EventBridge has completed a replay when the events are out; the handlers take longer."""
    values = {"replay": "rehearsal.a", "live": False, "state": "COMPLETED", "start": NOW - timedelta(hours=1),
              "end": NOW, "played_at": NOW, "incidents": incidents}  # fmt: skip
    line = tell_replay(Told(**(values | changes)))
    assert line == f"rehearsal.a  completed  2026-11-21 11:00:00 UTC to 2026-11-21 12:00:00 UTC  {said}"
