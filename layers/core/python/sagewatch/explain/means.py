"""The pictures of a comparison: where the model looks on suspicious inputs in the mean, on others, and the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sagewatch.explain import heatmap
from sagewatch.explain.comparison import mean_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from sagewatch.explain.region import Region

FOLDER: Final = "means"


@dataclass(frozen=True)
class Observation:
    """One picture of a group: its map (H, W), and the input (3, H, W) as a picture of 0 to 1."""

    saliency: NDArray[np.float64]
    image: NDArray[np.float32]


def write_means(
    suspicious: Sequence[Observation], others: Sequence[Observation], region: Region, output: Path
) -> Mapping[str, str]:
    """Write ``suspicious``, ``others`` and ``difference``, each with the region of interest drawn in; their paths by name.

    The two means lie over the mean of their inputs and share one scale of colours, so that they can be compared; the
    difference is red where suspicious inputs have more of their relevance, blue where they have less.
    """
    (output / FOLDER).mkdir(exist_ok=True)
    ours, theirs = (_spread_relevance(group) for group in (suspicious, others))
    most = float(max(ours.max(), theirs.max()))
    difference = ours - theirs
    full = float(np.abs(difference).max()) or 1.0
    pictures = {
        "suspicious": _lay_over(suspicious, ours / most),
        "others": _lay_over(others, theirs / most),
        "difference": heatmap.difference_picture(difference, full),
    }
    paths = {name: f"{FOLDER}/{name}.png" for name in pictures}
    for name, picture in pictures.items():
        drawn = heatmap.outline_region(picture, region)
        (output / paths[name]).write_bytes(heatmap.png_bytes(drawn))
    return paths


def _spread_relevance(group: Sequence[Observation]) -> NDArray[np.float64]:
    """The mean map as shares of all its relevance."""
    mean = mean_map([each.saliency for each in group])
    return np.asarray(mean / mean.sum())


def _lay_over(group: Sequence[Observation], level: NDArray[np.float64]) -> Image.Image:
    mean_input = np.mean(np.stack([np.nan_to_num(each.image) for each in group]), axis=0)
    picture = heatmap.input_picture(mean_input)
    return heatmap.overlay_picture(picture, heatmap.heat_picture(level))
