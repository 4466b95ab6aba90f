"""One class takes over: the e-SR mixture (``mixture``) on shares learned from the stream itself.

Three things would break its promise on false alarms, and are met here:

- Shares are estimated: each q_j is a Clopper-Pearson upper bound, and the baseline grows from predictions that
  are old enough to be known to have raised no alarm.
- Predictions repeat (frames of a video): q_j(t) = r * [prev = j] + (1 - r) * q_j, with bounds on r.
- Classes turn up that were never seen: they get rows in reserve, and their first sight counts for nothing.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.concentration_fold import ConcentrationFold, add_expected_shares
from sagewatch.detect.concentration_state import (
    OTHER,
    ClassConcentrationConfig,
    ClassConcentrationState,
    provision,
)
from sagewatch.detect.detector import Change, Episode
from sagewatch.detect.mixture import MixtureState
from sagewatch.detect.trace import TracePoint, read_trace
from sagewatch.finding import build_content_key

__all__ = ["OTHER", "ClassConcentration", "ClassConcentrationConfig", "ClassConcentrationState"]


class ClassConcentration:
    """Raises an episode when one class takes a larger share than the baseline allows."""

    name = "class-concentration"
    version = "1"
    state_type = ClassConcentrationState

    def __init__(self, config: ClassConcentrationConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> ClassConcentrationState:
        """Before the first segment: learning, unless a baseline was given."""
        return self.adopt(ClassConcentrationState())

    def adopt(self, previous: ClassConcentrationState) -> ClassConcentrationState:
        """Keep the baseline, the open episodes and their numbers; restart the statistic."""
        fresh = msgspec.structs.replace(
            previous, mixture=MixtureState(), old=ClassCounts(), young=ClassCounts(), probabilities=()
        )
        if self.config.baseline is not None:
            fresh = msgspec.structs.replace(fresh, learned=self.config.baseline)
        learned_enough = self.config.baseline is not None or fresh.learned.total >= self.config.learn_from
        return provision(fresh, self.config) if learned_enough else fresh

    def fold(
        self, state: ClassConcentrationState, segment: Segment
    ) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        """Exact, prediction by prediction."""
        return ConcentrationFold(self.config, state, segment).run()

    def close(
        self, state: ClassConcentrationState, now: datetime
    ) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        """Nothing: only predictions count."""
        del now
        return state, ()

    def list_open(self, state: ClassConcentrationState) -> tuple[Episode, ...]:
        """The episodes that are not over, with all evidence so far."""
        return tuple(add_expected_shares(each.describe(), state.learned) for each in state.open)

    def list_trace(self, state: ClassConcentrationState) -> tuple[TracePoint, ...]:
        """log10(mean M / accepted average number of predictions between false alarms), by segment."""
        return read_trace(state.trace)
