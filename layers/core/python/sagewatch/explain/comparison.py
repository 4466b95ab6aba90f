"""How differently the model looks at suspicious inputs and at others: mean maps, their distance, words.

Nothing is said that shuffling the same inputs between the groups would also bring forth (permutation tests, Good 2005,
"Permutation, Parametric and Bootstrap Tests of Hypotheses"), and what is real but small is called small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sagewatch.explain.region import CENTRE, Region, even_share, outside_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUSPICIOUS: Final = "suspicious"
CLEAN: Final = "clean"
OTHER: Final = "other"
# A difference is spoken of when it is this much more than shuffling makes, and this improbable by chance.
NOTABLE: Final = 0.05
IMPROBABLE: Final = 0.01
SHUFFLES: Final = 999
OFTEN: Final = 0.95
# Of fewer inputs a group can hardly be told from another one: 1 in 70 shufflings of 4 and 4 is the order itself.
LEAST: Final = 5
SEED: Final = 5
_AT_ONCE: Final = 100  # shufflings in one matrix product: bounds the memory


@dataclass(frozen=True)
class Group:
    """Maps of inputs that belong together.

    Parameters
    ----------
    name
        What they are, for the sentence; the word ``input`` in it is put into the plural.
    maps
        Each of shape (H, W), 0 to 1.
    comparable
        Whether they show what the suspicious ones are said to show: pictures of other classes differ by themselves.
    trusted
        Whether the maps add up to the model's answers; of those that do not nothing follows.
    """

    name: str
    maps: Sequence[NDArray[np.float64]]
    comparable: bool = True
    trusted: bool = True


@dataclass(frozen=True)
class Comparison:
    """Suspicious inputs against others.

    Parameters
    ----------
    suspicious, others
        How many of each; `others_are` says what the others are.
    distance
        Total variation distance of the two mean maps as distributions over the picture, 0 (the same places) to 1.
    usual_distance, by_chance
        The distance that half, and that 95 of 100, shufflings of the same inputs between the groups stay below.
    distance_p
        Share of shufflings that bring the mean maps at least as far apart.
    suspicious_outside, others_outside
        Share of an input's relevance outside the region of interest, 0 to 1, in the mean.
    outside_p
        Share of shufflings that bring these two at least as far apart.
    even_outside
        The share that a model which weighs all places alike would have outside.
    verdict
        ``incomplete``, ``too_few``, ``other_classes``, ``no_difference``, ``slight``, ``past`` (more of the relevance
        lies outside the region), ``narrower`` (less does) or ``elsewhere`` (as much does, at other places).
    sentence
        All of it in words.
    """

    suspicious: int
    others: int
    others_are: str
    distance: float
    usual_distance: float
    by_chance: float
    distance_p: float
    suspicious_outside: float
    others_outside: float
    outside_p: float
    even_outside: float
    verdict: str
    sentence: str


def compare(
    suspicious: Group, others: Group, region: Region = CENTRE, notes: Sequence[str] = ()
) -> Comparison | None:
    """Compare two groups of maps of one size; None where one of them is empty or has no relevance at all.

    Parameters
    ----------
    notes
        What else is to be said of the groups, in sentences without their full stops.

    Examples
    --------
    >>> left, right = np.zeros((10, 10)), np.zeros((10, 10))
    >>> left[5, 2], right[5, 7] = 1, 1
    >>> compare(Group("suspicious input", [left]), Group("clean input", [right])).distance
    1.0
    """
    if not suspicious.maps or not others.maps:
        return None
    ours, theirs = mean_map(suspicious.maps), mean_map(others.maps)
    if ours.shape != theirs.shape or not ours.sum() > 0 or not theirs.sum() > 0:
        return None
    count, distance = len(suspicious.maps), measure_distance(ours, theirs)
    maps = np.nan_to_num(np.stack([*suspicious.maps, *others.maps]))
    outside = np.array([outside_share(each, region) for each in maps])
    here, there = float(outside[:count].mean()), float(outside[count:].mean())
    distances, gaps = _shuffle(maps.reshape(len(maps), -1), outside, count)
    distance_p, outside_p = _count_beyond(distances, distance), _count_beyond(gaps, abs(here - there))
    usual, by_chance = (float(np.quantile(distances, share)) for share in (0.5, OFTEN))
    found = Comparison(
        count, len(others.maps), others.name, distance, usual, by_chance, distance_p,
        here, there, outside_p, even_share(ours.shape, region), "", "",
    )  # fmt: skip
    if suspicious.trusted and others.trusted:
        verdict = _judge(found, comparable=others.comparable)
    else:
        verdict = "incomplete"
    sentence = _tell(found, suspicious, verdict, notes)
    return Comparison(**{**found.__dict__, "verdict": verdict, "sentence": sentence})


def measure_distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Total variation distance of two maps with some relevance, each as a distribution: 0 to 1."""
    return float(np.abs(left / left.sum() - right / right.sum()).sum() / 2)


def mean_map(maps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of maps, each counted alike; NaN counts as no relevance."""
    mean: NDArray[np.float64] = np.mean(np.stack([np.nan_to_num(each) for each in maps]), axis=0)
    return mean


def _shuffle(
    flat: NDArray[np.float64], outside: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of the mean maps, and gaps of the shares outside, when the groups are drawn at random.

    Parameters
    ----------
    flat, outside
        Shape (N, pixels) and (N,).
    count
        Size of the first group.
    """
    rng, number = np.random.default_rng(SEED), len(flat)
    # Averages of a shuffled group are a product with a matrix of its members' shares.
    members = np.zeros((SHUFFLES, number))
    for row in members:
        row[rng.permutation(number)[:count]] = 1 / count
    rest = np.where(members > 0, 0.0, 1 / max(number - count, 1))
    distances = []
    for start in range(0, SHUFFLES, _AT_ONCE):
        left, right = members[start : start + _AT_ONCE] @ flat, rest[start : start + _AT_ONCE] @ flat
        sums = left.sum(axis=1, keepdims=True), right.sum(axis=1, keepdims=True)
        empty = (sums[0] <= 0) | (sums[1] <= 0)
        left, right = (
            part / np.where(total > 0, total, 1) for part, total in zip((left, right), sums, strict=True)
        )
        distances.append(np.where(empty[:, 0], 1.0, np.abs(left - right).sum(axis=1) / 2))
    return np.concatenate(distances), np.abs(members @ outside - rest @ outside)


def _count_beyond(shuffled: NDArray[np.float64], observed: float) -> float:
    """The share of shufflings that reach what was observed, itself counted as one of them: never 0."""
    beyond = int((shuffled >= observed - 1e-12).sum())
    return (beyond + 1) / (len(shuffled) + 1)


def _judge(found: Comparison, *, comparable: bool) -> str:
    if not comparable:
        return "other_classes"
    if min(found.suspicious, found.others) < LEAST:
        return "too_few"
    if found.distance_p > IMPROBABLE:
        return "no_difference"
    more = found.suspicious_outside - found.others_outside
    if found.outside_p <= IMPROBABLE and abs(more) >= NOTABLE:
        return "past" if more > 0 else "narrower"
    return "elsewhere" if found.distance - found.usual_distance >= NOTABLE else "slight"


_VERDICTS: Final = {
    "incomplete": "The maps do not add up to the model's answers, so nothing follows from how they differ",
    "too_few": f"Fewer than {LEAST} inputs in a group are too few to say where the model looks",
    "other_classes": "What it is compared with shows other things and differs by itself: nothing follows for the model",
    "no_difference": "Nothing says that the model looks elsewhere: the maps differ no more than by chance",
    "slight": "The model weighs other places a little more than by chance, too little to build on",
    "past": "On the suspicious inputs the model looks past the region of interest more than on the others",
    "narrower": "On the suspicious inputs the model looks into the region of interest more than on the others",
    "elsewhere": (
        "On the suspicious inputs the model weighs other places, with no clear difference in how much lies past the "
        "region of interest"
    ),
}


def _tell(found: Comparison, suspicious: Group, verdict: str, notes: Sequence[str]) -> str:
    counts = f"{count_inputs(found.suspicious, suspicious.name)} and {count_inputs(found.others, found.others_are)}"
    moved = f"The mean heat maps of {counts} differ by {found.distance:.0%}"
    if verdict not in {"incomplete", "too_few", "other_classes"}:
        moved += f"; shuffling the same inputs makes {found.usual_distance:.0%}, seldom more than {found.by_chance:.0%}"
    shares = (
        f"{found.suspicious_outside:.0%} of the relevance lies outside the region of interest, on the others "
        f"{found.others_outside:.0%} (spread evenly it would be {found.even_outside:.0%})"
    )
    return "".join(f"{sentence}. " for sentence in (_VERDICTS[verdict], moved, shares, *notes)).rstrip()


def count_inputs(number: int, name: str) -> str:
    """A number of inputs of a kind.

    >>> count_inputs(2, "clean input of that class")
    '2 clean inputs of that class'
    """
    return f"{number} {name}" if number == 1 else f"{number} {name.replace('input', 'inputs', 1)}"
