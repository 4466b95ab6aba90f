"""The model became less sure: a betting e-SR on the mean confidence.

For each stake, start at M = 0 and for every confidence x

    M <- (M + 1) * (1 + stake * (mean_low - x))

and the alarm is due when the mean of all M reaches the accepted average number of predictions between false
alarms. ``mean_low`` is a lower confidence bound of the clean mean; stakes stay below 1 / (1 - mean_low), so that no
bet loses all. Source: Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532; Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", arXiv 2010.09686.

Predictions without a confidence are passed over. Confidences of neighbours are taken as independent given the
baseline: on video, whose frames resemble each other, false alarms come more often than promised.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.confidence_fold import ConfidenceFold
from sagewatch.detect.confidence_state import ConfidenceConfig, ConfidenceState, Moments, bound_mean
from sagewatch.detect.detector import Change, Episode
from sagewatch.detect.trace import TracePoint, read_trace
from sagewatch.finding import build_content_key

__all__ = ["Confidence", "ConfidenceConfig", "ConfidenceState"]


class Confidence:
    """Raises an episode when the mean confidence falls below the baseline's."""

    name = "confidence"
    version = "1"
    state_type = ConfidenceState

    def __init__(self, config: ConfidenceConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> ConfidenceState:
        """Learning."""
        return ConfidenceState()

    def adopt(self, previous: ConfidenceState) -> ConfidenceState:
        """Keep the baseline, the open episode and its number; restart the statistic."""
        fresh = msgspec.structs.replace(
            previous, values=(0.0,) * 6, steps=0, old=Moments(), young=Moments(), mean_low=-1.0
        )
        return bound_mean(fresh) if fresh.learned.count >= self.config.learn_from else fresh

    def fold(self, state: ConfidenceState, segment: Segment) -> tuple[ConfidenceState, tuple[Change, ...]]:
        """Exact, prediction by prediction."""
        if not segment.confidences:
            return state, ()
        return ConfidenceFold(self.config, state, segment).run()

    def close(self, state: ConfidenceState, now: datetime) -> tuple[ConfidenceState, tuple[Change, ...]]:
        """Nothing: only predictions count."""
        del now
        return state, ()

    def list_open(self, state: ConfidenceState) -> tuple[Episode, ...]:
        """The episode that is not over."""
        return tuple(each.describe() for each in state.open)

    def list_trace(self, state: ConfidenceState) -> tuple[TracePoint, ...]:
        """log10(mean M / accepted average number of predictions between false alarms), by segment."""
        return read_trace(state.trace)
