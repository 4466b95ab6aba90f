"""The model's input as the picture that was sent: its normalisation undone, as the hook was told it, or guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.explain.layers import IMAGENET, Normalisation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLOURS: Final = 3
_ROUNDING: Final = 1e-3
# By the least and the largest value that they leave.
_RANGES: Final = ((0.0, 1.0), (-1.0, 1.0))


def show_input(image: NDArray[Any], known: Normalisation | None) -> tuple[NDArray[np.float32], str]:
    """The picture (3, H, W), 0 to 1, and how its colours were guessed; empty where they are known.

    Parameters
    ----------
    image
        The model's input, shape (C, H, W); NaN stays NaN. Of other channels than three the mean is shown in grey.
    known
        Mean and standard deviation by channel; one of another length than the image has channels is none.

    Examples
    --------
    >>> black_and_white = np.stack([np.array([[-1.0, 1.0]])] * 3)
    >>> picture, colours = show_input(black_and_white, ((0.5,) * 3, (0.5,) * 3))
    >>> picture[0].tolist(), colours
    ([[0.0, 1.0]], '')
    >>> show_input(black_and_white, None)[1]
    'taken as -1 to 1'
    """
    shown = np.asarray(image, dtype=np.float32)
    if known is not None and len(known[0]) == len(known[1]) == len(shown):
        pixels, colours = _undo(shown, known), ""
    else:
        pixels, colours = _guess(shown)
    if len(pixels) != _COLOURS:
        pixels = np.repeat(pixels.mean(axis=0, keepdims=True), _COLOURS, axis=0)
    return pixels.astype(np.float32), colours


def _guess(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """What the values fit: 0 to 1, -1 to 1, ImageNet's; else they are stretched."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return image, ""
    low, high = float(finite.min()), float(finite.max())
    for least, largest in _RANGES:
        if least - _ROUNDING <= low and high <= largest + _ROUNDING:
            return (image - least) / (largest - least), f"taken as {least:.0f} to {largest:.0f}"
    if len(image) == _COLOURS:
        pixels = _undo(image, IMAGENET)
        inside = pixels[np.isfinite(pixels)]
        if inside.min() >= -_ROUNDING and inside.max() <= 1 + _ROUNDING:
            return pixels, "taken as normalised by ImageNet's mean and deviation"
    return (image - low) / (high - low or 1), f"stretched, its values are {low:.3g} to {high:.3g}"


def _undo(image: NDArray[np.float32], known: Normalisation) -> NDArray[np.float32]:
    mean, deviation = (np.array(each).reshape(-1, 1, 1) for each in known)
    pixels: NDArray[np.float32] = image * deviation + mean
    return pixels
