"""Each layer's |bias x gradient| scaled to 0..1 over all of it, and summed over channels and layers of one size.

Scaling is linear, so no scaled tensor is ever made: a sum over channels is one product with the channels' weights, and
of the scaling only each layer's extremes are needed. Large and small pictures have their extremes found differently;
the sums are the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sagewatch.explain.layers import Layer

SHORT: Final = 256  # pixels of a channel from which its extremes are found by itself


def sum_layers(layers: Sequence[Layer]) -> list[NDArray[Any]]:
    """One map (H, W) for every size that layers have, in the tensors' own precision.

    A layer that is the same everywhere, or holds NaN, adds nothing.

    Parameters
    ----------
    layers
        With gradients of shape (C, H, W).
    """
    by_size: dict[tuple[int, ...], list[Layer]] = {}
    for layer in layers:
        by_size.setdefault(layer.gradient.shape[1:], []).append(layer)
    short = [group for group in by_size.values() if group[0].gradient[0].size <= SHORT]
    sums = [
        sum_scaled([layer.gradient for layer in group], np.concatenate([layer.bias for layer in group]))
        for group in by_size.values()
        if group[0].gradient[0].size > SHORT
    ]
    return [*sums, *_sum_short(short)] if short else sums


def sum_scaled(tensors: Sequence[NDArray[Any]], factors: NDArray[np.float64]) -> NDArray[Any]:
    """Scale each |factor x tensor| to 0..1 over all of it, and sum all channels of all tensors.

    Parameters
    ----------
    tensors
        Each of shape (C, H, W), of one height and width, each scaled by itself.
    factors
        Of all channels, one tensor's after the other's.

    Returns
    -------
    NDArray
        Shape (H, W).
    """
    counts = [len(tensor) for tensor in tensors]
    starts = [sum(counts[:number]) for number in range(len(counts))]
    sizes: NDArray[Any] = np.empty((sum(counts), tensors[0][0].size), np.result_type(*tensors, np.float32))
    for start, tensor in zip(starts, tensors, strict=True):
        np.abs(tensor.reshape(len(tensor), -1), out=sizes[start : start + len(tensor)])
    weights, rows = np.abs(factors), np.arange(len(sizes))
    # argmax and argmin, because numpy's max and min along rows are four times slower on rows this short.
    low = np.minimum.reduceat(sizes[rows, sizes.argmin(axis=1)] * weights, starts)
    high = np.maximum.reduceat(sizes[rows, sizes.argmax(axis=1)] * weights, starts)
    low, scale = _find_scale(low, high)
    if not scale.all():
        sizes[np.repeat(scale == 0, counts)] = 0
    shares = weights * np.repeat(scale, counts)
    summed = shares.astype(sizes.dtype) @ sizes - sizes.dtype.type(low @ (counts * scale))
    return np.asarray(summed.reshape(tensors[0].shape[1:]))


def _sum_short(groups: Sequence[Sequence[Layer]]) -> list[NDArray[Any]]:
    """The same for several sizes at once: of channels this small a whole layer's extremes are found in one go.

    Parameters
    ----------
    groups
        Layers of one size each.
    """
    layers = [layer for group in groups for layer in group]
    kind = np.result_type(np.float32, *{layer.gradient.dtype for layer in layers})
    ends = [0, *np.cumsum([layer.gradient.size for layer in layers]).tolist()]
    values: NDArray[Any] = np.empty(ends[-1], kind)
    for layer, (start, end) in zip(layers, pairwise(ends), strict=True):
        np.abs(layer.gradient.reshape(-1), out=values[start:end])
    weights = np.abs(np.concatenate([layer.bias for layer in layers])).astype(kind)
    counts = [len(layer.bias) for layer in layers]
    weighted, place, channel = [], 0, 0
    for group in groups:
        count, pixels = sum(len(layer.bias) for layer in group), group[0].gradient[0].size
        rows = values[place : place + count * pixels].reshape(count, pixels)
        rows *= weights[channel : channel + count, None]
        weighted.append(rows)
        place, channel = place + count * pixels, channel + count
    low = np.minimum.reduceat(values, ends[:-1]).astype(np.float64)
    high = np.maximum.reduceat(values, ends[:-1]).astype(np.float64)
    low, scale = _find_scale(low, high)
    if not scale.all():
        values[np.repeat(scale == 0, np.diff(ends))] = 0
    shares, lows = np.repeat(scale, counts).astype(kind), low * counts * scale
    sums, channel, number = [], 0, 0
    for group, rows in zip(groups, weighted, strict=True):
        least = lows[number : number + len(group)].sum()
        summed = shares[channel : channel + len(rows)] @ rows - kind.type(least)
        sums.append(np.asarray(summed.reshape(group[0].gradient.shape[1:])))
        channel, number = channel + len(rows), number + len(group)
    return sums


def _find_scale(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each layer's least, and what to multiply it by; zeros where it is the same everywhere or holds NaN."""
    spread = high - low
    useful = np.isfinite(spread) & (spread > 0)
    scale = np.divide(1, spread, out=np.zeros(len(spread)), where=useful)
    return (low if useful.all() else np.where(useful, low, 0)), scale
