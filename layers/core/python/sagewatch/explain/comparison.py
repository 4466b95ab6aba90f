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
NOTABLE_SHARE: Final = 0.05
# How often the inputs are shuffled between the groups, to see how far mean maps differ by chance.
SHUFFLES: Final = 200
CHANCE: Final = 0.95
SEED: Final = 5


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
    by_chance
        The distance that 95 of 100 shufflings of the same inputs between the groups stay below (permutation test).
    suspicious_outside, others_outside
        Share of the mean map's relevance outside the middle of the picture, 0 to 1.
    sentence
        All of it in words.
    """

    suspicious: int
    others: int
    others_are: str
    distance: float
    by_chance: float
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
    count, distance = len(suspicious.maps), measure_distance(ours, theirs)
    by_chance = _measure_chance(np.stack([*suspicious.maps, *others.maps]), count)
    outside = outside_share(ours), outside_share(theirs)
    sentence = _tell(suspicious, others, distance, by_chance, outside)
    return Comparison(count, len(others.maps), others.name, distance, by_chance, *outside, sentence)


def measure_distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Total variation distance of two maps with some relevance, each as a distribution: 0 to 1."""
    return float(np.abs(left / left.sum() - right / right.sum()).sum() / 2)


def mean_map(maps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of maps, each counted alike."""
    mean: NDArray[np.float64] = np.mean(np.stack([np.nan_to_num(each) for each in maps]), axis=0)
    return mean


def _measure_chance(maps: NDArray[np.float64], count: int) -> float:
    """How far the mean maps differ when the groups are drawn from all maps at random; 1 for groups too small to say."""
    if len(maps) < len(("two", "in", "each", "group")):
        return 1.0
    rng, flat = np.random.default_rng(SEED), np.nan_to_num(maps).reshape(len(maps), -1)
    distances = []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(flat))
        left, right = flat[order[:count]].mean(axis=0), flat[order[count:]].mean(axis=0)
        distances.append(measure_distance(left, right) if left.sum() > 0 and right.sum() > 0 else 1.0)
    return float(np.quantile(distances, CHANCE))


def _tell(
    suspicious: Group, others: Group, distance: float, by_chance: float, outside: tuple[float, float]
) -> str:
    counts = f"On {_count(suspicious)} against {_count(others)}"
    moved = f"the places that count differ by {distance:.0%} (by chance up to {by_chance:.0%})"
    shares = (
        f"{outside[0]:.0%} of the relevance lies outside the middle of the picture, against {outside[1]:.0%}"
    )
    more = outside[0] - outside[1]
    if distance <= by_chance:
        verdict = "so few inputs differ as much by chance: nothing says that the model looks elsewhere"
    elif more > NOTABLE_SHARE:
        verdict = "the model looks past the sign more than it does otherwise"
    elif more < -NOTABLE_SHARE:
        verdict = "the model looks at the sign more narrowly than it does otherwise"
    else:
        verdict = "the model looks at other parts of the sign"
    return f"{counts}, {moved}: {shares}; {verdict}."


def _count(group: Group) -> str:
    number, what = len(group.maps), group.name
    return f"{number} {what}" if number == 1 else f"{number} {what.replace('input', 'inputs', 1)}"
