"""The region of interest: the part of the picture in which the model is expected to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDES: Final = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Region:
    """A rectangle in shares of the picture, 0 to 1: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float


# Of a picture that was cropped to its object about a tenth is free on each side.
CENTRE: Final = Region(0.1, 0.1, 0.9, 0.9)


def read_region(text: str, where: str) -> Region:
    """A region from ``left,top,right,bottom``; nothing is the middle of the picture.

    Raises
    ------
    ConfigurationError
        It is no rectangle inside the picture.

    Examples
    --------
    >>> read_region("0.25,0,0.75,1", "environment")
    Region(left=0.25, top=0.0, right=0.75, bottom=1.0)
    """
    if not text.strip():
        return CENTRE
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) != len(_SIDES) or not (0 <= sides[0] < sides[2] <= 1 and 0 <= sides[1] < sides[3] <= 1):
        reason = f"must be left,top,right,bottom in shares of the picture (0 to 1), not {text!r}"
        raise ConfigurationError(reason, where=where, key="REGION")
    return Region(*sides)


def mask_region(shape: tuple[int, ...], region: Region) -> NDArray[np.bool_]:
    """Which pixels of a picture (H, W) lie inside: those whose middle does."""
    height, width = shape
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    inside: NDArray[np.bool_] = np.outer(
        (y >= region.top) & (y <= region.bottom), (x >= region.left) & (x <= region.right)
    )
    return inside


def outside_share(saliency: NDArray[Any], region: Region = CENTRE) -> float:
    """The share of a map's relevance that lies outside: a model that looks past the object has a high one.

    Parameters
    ----------
    saliency
        Shape (H, W), not negative.

    Returns
    -------
    float
        0 to 1; 0 for a map of zeros. A map that is the same everywhere gives `even_share`.
    """
    total = float(saliency.sum())
    return float(saliency[~mask_region(saliency.shape, region)].sum()) / total if total > 0 else 0.0


def even_share(shape: tuple[int, ...], region: Region = CENTRE) -> float:
    """The share of the picture's area that lies outside: what a map without any preference has there.

    >>> even_share((10, 10))
    0.36
    """
    return float((~mask_region(shape, region)).mean())
