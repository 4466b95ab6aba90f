"""What stands in the table of monitoring schedules."""

from __future__ import annotations

from datetime import datetime

from sagewatch.monitoring.execution import Watch
from sagewatch.report.schedule import ScheduleState
from sagewatch.state.rows import Rows, write_row


class ScheduleRows(Rows):
    """The last run of each schedule, what holds since, and its rhythm."""

    def load_schedule(self, schedule: str) -> ScheduleState:
        """What is known of a monitoring schedule."""
        found = self.load_versioned(f"schedule#{schedule}", "state", ScheduleState)
        return found or ScheduleState(schedule=schedule)

    def save_schedule(self, state: ScheduleState) -> None:
        """Write what is known; ``ConflictError`` where it was changed meanwhile."""
        self._items.write([write_row(f"schedule#{state.schedule}", "state", state, state.version)])

    def load_watch(self, schedule: str, now: datetime) -> Watch:
        """The rhythm of a schedule; one that was never looked at is watched from now on."""
        found = self.load_versioned(f"schedule#{schedule}", "watch", Watch)
        return found or Watch(schedule=schedule, since=now)

    def save_watch(self, watch: Watch) -> None:
        """Write the rhythm; ``ConflictError`` where it was changed meanwhile."""
        self._items.write([write_row(f"schedule#{watch.schedule}", "watch", watch, watch.version)])
