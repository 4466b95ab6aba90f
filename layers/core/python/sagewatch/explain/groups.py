"""Which maps stand for the suspicious inputs and which for the others: whole maps, each picture once.

In: every explained input with its role. Out: the comparison of their mean maps, and its pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from sagewatch.explain.comparison import CLEAN, OTHER, SUSPICIOUS, Comparison, Group, compare, count_inputs
from sagewatch.explain.enlarging import enlarge
from sagewatch.explain.means import Observation, write_means

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sagewatch.explain.fullgrad import Explanation
    from sagewatch.explain.region import Region

ALIKE: Final = 0.9
"""Correlation of two inputs' brightness from which they are one picture: frames of a video, a picture sent again.

Of 43 classes of photographed traffic signs (GTSRB) fewer than 1 pair in 100 of different signs of a class reach it, and
more than 1 in 3 of frames that are at most three apart, which chains most of a video together.
"""
_THUMBNAIL: Final = (16, 16)
_LARGEST: Final = 256
"""Sides of a compared map: the pictures are drawn at this size, and shuffling takes memory."""


@dataclass(frozen=True)
class Shown:
    """An explained input: its role in the incident, and the SHA-256 of its body where that is known."""

    role: str
    digest: str
    explanation: Explanation


@dataclass(frozen=True)
class _Others:
    """What the suspicious inputs are compared with."""

    name: str
    shown: list[Shown]
    comparable: bool


def compare_groups(
    shown: Sequence[Shown], suspect_class: int | None, region: Region, output: Path
) -> tuple[Comparison | None, Mapping[str, str]]:
    """Suspicious against clean inputs of the same class; where there are none, against whatever else there is.

    Parameters
    ----------
    suspect_class
        The class that the finding names; None where it names none.

    Returns
    -------
    tuple
        The comparison and the paths of its pictures; None and nothing where one group is empty.

    Raises
    ------
    OSError
        When a picture cannot be written.
    """
    suspicious = [one for one in shown if one.role == SUSPICIOUS]
    others = _choose_others(shown, {one.digest for one in suspicious} - {""}, suspect_class)
    whole = [[one for one in group if one.explanation.complete] for group in (suspicious, others.shown)]
    # Maps that do not add up are left out, unless there are no others: then they are shown, and nothing follows.
    trusted = all(whole)
    ours, theirs = whole if trusted else (suspicious, others.shown)
    size = _find_size([*ours, *theirs])
    merged = _merge_repeats(ours, size), _merge_repeats(theirs, size)
    told = _tell_repeats("suspicious input", len(ours), len(merged[0]))
    told += _tell_repeats(others.name, len(theirs), len(merged[1]))
    sentences = [f"What shows the same picture counts once: {', '.join(told)}"] if told else []
    left_out = len(suspicious) + len(others.shown) - len(ours) - len(theirs)
    if left_out:
        maps = "1 map that does" if left_out == 1 else f"{left_out} maps that do"
        sentences.append(f"Left out: {maps} not add up to the model's answer")
    comparison = compare(
        Group("suspicious input", [each.saliency for each in merged[0]], trusted=trusted),
        Group(others.name, [each.saliency for each in merged[1]], others.comparable, trusted=trusted),
        region,
        sentences,
    )
    return comparison, write_means(*merged, region, output) if comparison else {}


def _choose_others(shown: Sequence[Shown], suspected: set[str], suspect_class: int | None) -> _Others:
    # What came in the incident too is no clean input, though the same picture may have come before it.
    clean = [one for one in shown if one.role == CLEAN and one.digest not in suspected]
    of_class = [one for one in clean if one.explanation.class_id == suspect_class]
    if of_class:
        return _Others("clean input of that class", of_class, comparable=True)
    if clean:
        # Where the finding names no class, the suspicious ones are of many classes too.
        return _Others("clean input", clean, comparable=suspect_class is None)
    name = "input of another class" if suspect_class is not None else "more confident input"
    return _Others(name, [one for one in shown if one.role == OTHER], comparable=False)


def _tell_repeats(name: str, inputs: int, pictures: int) -> list[str]:
    return [f"{count_inputs(inputs, name)} are {pictures}"] if pictures < inputs else []


def _find_size(shown: Sequence[Shown]) -> tuple[int, int]:
    """The size at which maps are compared: that of the largest, for a model may take pictures of any size."""
    sizes = [one.explanation.saliency.shape for one in shown]
    height, width = (max((size[axis] for size in sizes), default=1) for axis in (0, 1))
    return min(height, _LARGEST), min(width, _LARGEST)


def _merge_repeats(group: Sequence[Shown], size: tuple[int, int]) -> list[Observation]:
    """One observation a picture, the mean of its maps: the frames of a video are no independent inputs.

    Pictures that are alike are one, and so is a chain of them: the sign that comes nearer frame by frame.
    """
    thumbnails = [_shrink(one.explanation.image) for one in group]
    picture = list(range(len(group)))
    for later in range(len(group)):
        for earlier in range(later):
            same = group[later].digest and group[later].digest == group[earlier].digest
            if same or float(thumbnails[later] @ thumbnails[earlier]) >= ALIKE:
                old, new = picture[later], picture[earlier]
                picture = [new if one == old else one for one in picture]
    return [
        _average([one for one, its in zip(group, picture, strict=True) if its == number], size)
        for number in sorted(set(picture), key=picture.index)
    ]


def _average(group: Sequence[Shown], size: tuple[int, int]) -> Observation:
    maps = [enlarge(np.nan_to_num(one.explanation.saliency), size) for one in group]
    image = _to_size(group[0].explanation.image, size)
    return Observation(np.asarray(np.mean(maps, axis=0)), image)


def _to_size(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    planes = [enlarge(plane, size) for plane in np.nan_to_num(image).astype(np.float64)]
    return np.asarray(np.stack(planes), dtype=np.float32)


def _shrink(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """The brightness of 16 x 16 patches, as a vector of length 1 around its mean; zeros for an even picture."""
    bright = np.nan_to_num(image.mean(axis=0)).astype(np.float32)
    small = Image.fromarray(bright, "F").resize(_THUMBNAIL, Image.Resampling.BOX)
    vector = np.asarray(small, dtype=np.float64).ravel()
    vector = vector - vector.mean()
    length = float(np.sqrt(vector @ vector))
    return vector / length if np.isfinite(length) and length > 0 else np.zeros(vector.size)
