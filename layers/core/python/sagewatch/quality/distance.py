"""How far two distributions lie apart: AWS's distance with its faults, and the right one with its noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sagewatch.quality.sketch import Sketch

# c(0.003) of the Kolmogorov-Smirnov test, as Deequ rounds it.
_ROBUST = 1.8
_ITERATIONS = 1000
_SMALL = 1e-300


class Distance(NamedTuple):
    """The largest difference of shares, in [0, 1]; where it lies; and how many values each side holds."""

    value: float
    at: str
    current: int
    baseline: int


def measure_compat(current: Sketch, baseline: Sketch) -> Distance:
    """AWS's difference of distribution functions: every distinct item counts once, however often it occurred.

    Deequ builds a map from pairs of value and weight, in which equal values collapse and the highest level's weight
    stays. Discrete features are therefore all but invisible to it, and small windows alarm for nothing
    (CONTRACTS §2.7). ``current`` and ``baseline`` of the answer are the sums of the weights that were left.
    """
    return _measure(_collapse(current), _collapse(baseline))


def measure_exact(current: Sketch, baseline: Sketch) -> Distance:
    """The largest difference of the two distribution functions, every value counted (Kolmogorov-Smirnov)."""
    return _measure(_add_up(current), _add_up(baseline))


def measure_categories(current: Mapping[str, int], baseline: Mapping[str, int]) -> Distance:
    """The largest difference of a category's shares, over the categories of both sides (L-infinity)."""
    totals = sum(current.values()), sum(baseline.values())
    differences = {
        name: abs(current.get(name, 0) / totals[0] - baseline.get(name, 0) / totals[1])
        for name in dict.fromkeys([*current, *baseline])
    }
    at = max(differences, key=lambda name: differences[name])
    return Distance(differences[at], at, *totals)


def make_robust(distance: float, current: float, baseline: float) -> float:
    """Deequ's ``Robust``: the distance less what chance explains, not below 0.

    Examples
    --------
    >>> make_robust(abs(46 / 233 - 40 / 64), 233, 64)
    0.17354640931273702
    """
    return max(0.0, distance - _ROBUST * math.sqrt((current + baseline) / (current * baseline)))


def allow_for_chance(current: int, baseline: int, features: int, false_alarms: float) -> float:
    """How large a difference of shares chance alone may make.

    Parameters
    ----------
    current, baseline
        Sample sizes, at least 1.
    features
        How many features are compared in the same analysis: the false alarms are shared out among them.
    false_alarms
        Accepted share of analyses of unchanged data that report any drift, in (0, 1).

    Notes
    -----
    ``sqrt(-ln(alpha / 2F) / 2) * sqrt(1/n + 1/n0)``, the two-sample Dvoretzky-Kiefer-Wolfowitz bound in its
    asymptotic form (Massart 1990); conservative for discrete features.
    """
    return math.sqrt(-math.log(false_alarms / (2 * features)) / 2) * math.sqrt(1 / current + 1 / baseline)


def compare_chi_square(current: Mapping[str, int], baseline: Mapping[str, int]) -> tuple[float, float]:
    """Pearson's test of current counts against the baseline's shares, small categories joined as Deequ joins them.

    Only categories of the baseline count. Cochran's rule for two categories (all expected at least 10), Yates's for
    more (at most a fifth below 5).

    Returns
    -------
    tuple
        The statistic and its p-value; NaN both where fewer than two categories are left.
    """
    total = float(sum(count for name, count in current.items() if name in baseline))
    whole = float(sum(baseline.values()))
    expected = {name: count / whole * total for name, count in baseline.items()}
    seen = {name: float(current.get(name, 0)) for name in expected}
    while len(expected) > 1:
        least, allowed = (10, 0) if len(expected) == 2 else (5, int(0.2 * len(expected)))  # noqa: PLR2004 - the rules
        if sum(count < least for count in expected.values()) <= allowed:
            break
        smallest = min(expected, key=lambda name: expected[name])
        moved, moved_seen = expected.pop(smallest), seen.pop(smallest)
        second = min(expected, key=lambda name: expected[name])
        expected[second] += moved
        seen[second] += moved_seen
    if len(expected) < 2 or not total:  # noqa: PLR2004 - a distribution needs two outcomes
        return math.nan, math.nan
    statistic = sum((seen[name] - count) ** 2 / count for name, count in expected.items())
    return statistic, survive_chi_square(statistic, len(expected) - 1)


def survive_chi_square(statistic: float, degrees: int) -> float:
    """The chance of a chi-square variable beyond ``statistic``.

    Series below the mean, Lentz's continued fraction above (Numerical Recipes §6.2).

    Examples
    --------
    >>> round(survive_chi_square(3.841458820694124, 1), 12)
    0.05
    """
    half, at = degrees / 2, statistic / 2
    if at <= 0:
        return 1.0
    scale = math.exp(half * math.log(at) - at - math.lgamma(half))
    if at < half + 1:
        term = total = 1 / half
        for step in range(1, _ITERATIONS):
            term *= at / (half + step)
            total += term
            if term < total * 1e-16:
                break
        return max(0.0, 1 - scale * total)
    b, c = at + 1 - half, 1 / _SMALL
    d = 1 / b
    fraction = d
    for step in range(1, _ITERATIONS):
        factor = -step * (step - half)
        b += 2
        d = 1 / (factor * d + b or _SMALL)
        c = b + factor / c or _SMALL
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:  # noqa: PLR2004 - beyond double precision
            break
    return min(1.0, scale * fraction)


_Ranked = tuple[NDArray[np.float64], NDArray[np.int64]]


def _collapse(sketch: Sketch) -> _Ranked:
    items, weights = sketch.weighted()
    # The last of equal items stands in the highest level: its weight is the one that a map keeps.
    values, first_from_behind = np.unique(items[::-1], return_index=True)
    return values, np.cumsum(weights[::-1][first_from_behind])


def _add_up(sketch: Sketch) -> _Ranked:
    items, weights = sketch.weighted()
    values, places = np.unique(items, return_inverse=True)
    return values, np.cumsum(np.bincount(places, weights=weights, minlength=len(values))).astype(np.int64)


def _measure(current: _Ranked, baseline: _Ranked) -> Distance:
    keys = np.union1d(current[0], baseline[0])
    sizes = int(current[1][-1]), int(baseline[1][-1])
    differences = np.abs(_rank(current, keys) / float(sizes[0]) - _rank(baseline, keys) / float(sizes[1]))
    at = int(np.argmax(differences))
    return Distance(float(differences[at]), repr(float(keys[at])), *sizes)


def _rank(ranked: _Ranked, keys: NDArray[np.float64]) -> NDArray[np.int64]:
    values, ranks = ranked
    return np.concatenate([np.zeros(1, dtype=np.int64), ranks])[np.searchsorted(values, keys, side="right")]
