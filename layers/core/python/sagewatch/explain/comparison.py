"""How differently the model looks at suspicious inputs and at clean ones: mean maps, their distance, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sagewatch.explain.heatmap import outside_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUSPICIOUS: Final = "suspicious"
CLEAN: Final = "clean"
# Below this, mean maps of two halves of the same clean traffic differ too (benchmarks/explain_groups.py).
NOTABLE_DISTANCE: Final = 0.1
NOTABLE_SHARE: Final = 0.05


@dataclass(frozen=True)
class Group:
    """Maps of inputs that belong together.

    Parameters
    ----------
    name
        What they are, for the sentence.
    maps
        Each of shape (H, W), 0 to 1.
    """

    name: str
    maps: Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Comparison:
    """Suspicious inputs against others.

    Parameters
    ----------
    suspicious, others
        How many of each; `others_are` says what the others are.
    distance
        Total variation distance of the two mean maps as distributions over the picture, 0 (the same places) to 1.
    suspicious_outside, others_outside
        Share of the mean map's relevance outside the middle of the picture, 0 to 1.
    sentence
        All of it in words.
    """

    suspicious: int
    others: int
    others_are: str
    distance: float
    suspicious_outside: float
    others_outside: float
    sentence: str


def compare(suspicious: Group, others: Group) -> Comparison | None:
    """Compare two groups of maps of one size; None where one of them is empty or has no relevance at all.

    Examples
    --------
    >>> left, right = np.zeros((10, 10)), np.zeros((10, 10))
    >>> left[5, 2], right[5, 7] = 1, 1
    >>> compare(Group("suspicious", [left]), Group("clean", [right])).distance
    1.0
    """
    if not suspicious.maps or not others.maps:
        return None
    ours, theirs = mean_map(suspicious.maps), mean_map(others.maps)
    if ours.shape != theirs.shape or not ours.sum() > 0 or not theirs.sum() > 0:
        return None
    distance = float(np.abs(ours / ours.sum() - theirs / theirs.sum()).sum() / 2)
    outside = outside_share(ours), outside_share(theirs)
    sentence = _tell(len(suspicious.maps), len(others.maps), others.name, distance, outside)
    return Comparison(len(suspicious.maps), len(others.maps), others.name, distance, *outside, sentence)


def mean_map(maps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of maps, each counted alike."""
    mean: NDArray[np.float64] = np.mean(np.stack([np.nan_to_num(each) for each in maps]), axis=0)
    return mean


def _tell(count: int, others: int, others_are: str, distance: float, outside: tuple[float, float]) -> str:
    counts = f"On {_count(count, 'suspicious input')} against {_count(others, others_are)}"
    shares = (
        f"{outside[0]:.0%} of the relevance lies outside the middle of the picture, against {outside[1]:.0%}"
    )
    moved = f"the places that count differ by {distance:.0%}"
    more = outside[0] - outside[1]
    if distance < NOTABLE_DISTANCE:
        verdict = "the model looks at the same places, so what it sees there is what changed"
    elif more > NOTABLE_SHARE:
        verdict = "the model looks past the sign more than it does otherwise"
    elif more < -NOTABLE_SHARE:
        verdict = "the model looks at the sign more narrowly than it does otherwise"
    else:
        verdict = "the model looks at other parts of the sign"
    return f"{counts}, {moved}: {shares}; {verdict}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what.replace('input', 'inputs', 1)}"
