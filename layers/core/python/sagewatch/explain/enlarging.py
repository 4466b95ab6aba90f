"""Maps at another size: linear interpolation as two products with matrices, on the grid of the notebook's zoom."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def enlarge(values: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """A map (H, W) at another size, interpolated linearly, its corners kept.

    >>> enlarge(np.array([[0.0, 1.0]]), (1, 3)).tolist()
    [[0.0, 0.5, 1.0]]
    """
    if values.shape == size:
        return np.asarray(values, dtype=np.float64)
    rows, columns = (_interpolation(had, wanted, "d") for had, wanted in zip(values.shape, size, strict=True))
    return np.asarray(rows @ values @ columns.T)


def enlarge_sum(maps: Sequence[NDArray[Any]], size: tuple[int, int]) -> NDArray[Any]:
    """The sum of maps of several sizes, each enlarged, in their own precision; at least one.

    rows_of_a @ a @ columns_of_a + rows_of_b @ b @ columns_of_b + ... is one product of two wide matrices.
    """
    height, width = size
    kind = maps[0].dtype.char
    taller = np.hstack([_interpolation(len(each), height, kind) @ each for each in maps])
    return np.asarray(taller @ _interpolations(tuple(each.shape[1] for each in maps), width, kind))


@functools.lru_cache(maxsize=64)
def _interpolation(size: int, wanted: int, kind: str) -> NDArray[Any]:
    """The matrix (wanted, size) that interpolates linearly, first and last kept: scipy.ndimage.zoom(order=1)'s grid."""
    places = np.linspace(0, size - 1, wanted)
    above = np.minimum(places.astype(int), max(size - 2, 0))
    rows = np.arange(wanted)
    matrix = np.zeros((wanted, size))
    matrix[rows, above] = 1 - (places - above)
    matrix[rows, np.minimum(above + 1, size - 1)] += places - above
    return matrix.astype(kind)


@functools.lru_cache(maxsize=16)
def _interpolations(sizes: tuple[int, ...], wanted: int, kind: str) -> NDArray[Any]:
    """The transposed matrices of several sizes, one below the other."""
    return np.ascontiguousarray(np.vstack([_interpolation(size, wanted, kind).T for size in sizes]))
