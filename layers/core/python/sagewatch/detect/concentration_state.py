"""What class-concentration knows of a stream between two folds, and how it is configured."""

from __future__ import annotations

import msgspec

from sagewatch.detect.baseline import ClassCounts, compute_bounds
from sagewatch.detect.detector import Numbers
from sagewatch.detect.history import History
from sagewatch.detect.mixture import MixtureState
from sagewatch.detect.open_episode import OpenEpisode

OTHER = "(other)"
"""The row of classes that came after all rows were given away."""

RESERVE_ROWS = 8
MAX_ROWS = 1024
MISS = 0.2
"""One-sided error of each bound on a share.

Measured (benchmarks/detect.py): wide enough for the accepted rate of false alarms from 200 predictions of
baseline on, with repeats or without; 0.05 makes detection a sixth slower, 0.4 breaks the promise on video.
"""


class ClassConcentrationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to watch for a class that takes over.

    Attributes
    ----------
    one_false_alarm_in
        Accepted average number of predictions between false alarms.
    learn_from
        Learn the baseline from so many predictions; nothing is raised meanwhile.
    baseline
        Counts to start from instead of learning.
    classes
        Classes known beforehand, whether they were seen or not.
    clear_after
        Clean predictions that end an episode; None derives it from how long detection took.
    """

    one_false_alarm_in: int = 1_000_000
    learn_from: int = 1000
    baseline: ClassCounts | None = None
    classes: tuple[str, ...] = ()
    clear_after: int | None = None
    staged: bool = False


class ClassConcentrationState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stream.

    Attributes
    ----------
    seen
        Predictions folded.
    learned
        The baseline.
    old, young
        Predictions that wait to join it: a full block, and the one being filled.
    labels
        The class of each row; the first is ``OTHER``, those beyond are in reserve.
    probabilities
        Upper bound of the share of each row, those in reserve included; empty while learning.
    previous
        Class of the last prediction.
    """

    seen: int = 0
    learned: ClassCounts = ClassCounts()
    old: ClassCounts = ClassCounts()
    young: ClassCounts = ClassCounts()
    labels: tuple[str, ...] = (OTHER,)
    probabilities: tuple[float, ...] = ()
    repeat_low: float = 0.0
    repeat_high: float = 0.0
    mixture: MixtureState = MixtureState()
    previous: str = ""
    history: History = History()
    open: tuple[OpenEpisode, ...] = ()
    numbers: Numbers = Numbers()
    trace: bytes = b""


def provision(state: ClassConcentrationState, config: ClassConcentrationConfig) -> ClassConcentrationState:
    """Give every class of the baseline a row and a bound on its share, and refill the reserve."""
    bounds = compute_bounds(state.learned, MISS)
    # Whoever has a row keeps it, also where an older version gave a class two: history names rows.
    known, learned = set(state.labels), dict.fromkeys((*config.classes, *state.learned.counts))
    labels = (*state.labels, *(label for label in learned if label not in known))[:MAX_ROWS]
    reserve = min(RESERVE_ROWS, MAX_ROWS - len(labels))
    shares = (bounds.shares.get(label, bounds.unseen) for label in labels[1:])
    other = max(bounds.unseen, bounds.rare)
    return msgspec.structs.replace(
        state,
        labels=labels,
        probabilities=(other, *shares, *[bounds.unseen] * reserve),
        repeat_low=bounds.repeat_low,
        repeat_high=bounds.repeat_high,
    )
