"""Exact bounds on a share, without scipy: importing it costs two seconds of CPU that a cold start does not have.

Source: Clopper and Pearson, Biometrika 26 (1934); incomplete beta by Lentz's continued fraction, DLMF 8.17.22.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_RELATIVE = 1e-15
_MAX_TERMS = 10_000
_LAST_STEP = 1e-8


def compute_upper_share(successes: int, trials: int, miss: float) -> float:
    """The largest share that the counts do not contradict: the true one lies above it with chance ``miss``.

    Parameters
    ----------
    successes, trials
        Counts, 0 <= successes <= trials.
    miss
        One-sided error, in (0, 1).

    Returns
    -------
    float
        Clopper-Pearson upper limit in (0, 1]; 1 if there were no trials.

    Examples
    --------
    >>> round(compute_upper_share(0, 100, 0.05), 6)  # 1 - 0.05 ** (1 / 100)
    0.029513
    """
    if successes >= trials:
        return 1.0
    return _find_beta_tail(successes + 1, trials - successes, miss)


def compute_lower_share(successes: int, trials: int, miss: float) -> float:
    """The smallest share that the counts do not contradict; 0 if there were no successes."""
    if successes <= 0:
        return 0.0
    return 1 - _find_beta_tail(trials - successes + 1, successes, miss)


def compute_beta_cdf(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b) for a, b > 0 and x in [0, 1]."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - compute_beta_cdf(b, a, 1 - x)
    log_front = (
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
        - math.log(a)
    )
    return math.exp(log_front) * _compute_fraction(a, b, x)


def _compute_fraction(a: float, b: float, x: float) -> float:
    """Value of the continued fraction (modified Lentz); it converges fast for x below the mean."""
    up = 1.0
    down = 1 / ((1 - (a + b) * x / (a + 1)) or _TINY)
    value = down
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            down = 1 / ((1 + numerator * down) or _TINY)
            up = (1 + numerator / up) or _TINY
            value *= up * down
        if abs(up * down - 1) < _RELATIVE:
            break
    return value


# A fleet asks for the same counts again and again: blocks of its baselines are all of one size.
@lru_cache(maxsize=16_384)
def _find_beta_tail(a: float, b: float, miss: float) -> float:
    """The x above which a beta variable lies with chance ``miss``, for a >= 1 and b >= 1.

    Newton's method on the logarithm of that chance, which is concave (Bagnoli and Bergstrom, Economic Theory 26,
    2005): from its second point on it comes down to the root from above and never leaves it behind.
    """
    log_norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_miss = math.log(miss)
    low, high = 0.0, 1.0
    x = _guess_beta_tail(a, b, log_miss)
    for _ in range(100):
        tail = compute_beta_cdf(b, a, 1 - x)
        if tail < miss:
            high = x
        else:
            low = x
        density = math.exp(log_norm + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        step = (math.log(tail) - log_miss) * tail / density if tail > 0 and density > 0 else math.inf
        # Each step squares the error: what a step below this leaves is beyond a double's digits.
        if abs(step) <= _LAST_STEP * min(x, 1 - x):
            return x + step
        x = x + step if low < x + step < high else (low + high) / 2
    return x


def _guess_beta_tail(a: float, b: float, log_miss: float) -> float:
    """Wilson's score limit, with the normal quantile of the tail as a power of it."""
    z = math.sqrt(max(-2 * log_miss - math.log(max(-2 * log_miss, 1.0)) - 1.8, 0.0))
    count = a + b - 1
    share = (a - 0.5) / count
    spread = z * math.sqrt(share * (1 - share) / count + (z / count) ** 2 / 4) if share < 1 else 0.0
    guess = (share + z * z / (2 * count) + spread) / (1 + z * z / count)
    return min(max(guess, _TINY), 1 - 1e-12)
