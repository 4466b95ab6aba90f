"""Exact bounds on a share, without scipy: importing it costs two seconds of CPU that a cold start does not have.

Source: Clopper and Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from functools import lru_cache

_LAST_TERM = 1e-16
_LAST_STEP = 1e-8
_STEPS = 100


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
    return 1.0 if successes >= trials else _find_upper(successes, trials, miss)


def compute_lower_share(successes: int, trials: int, miss: float) -> float:
    """The smallest share that the counts do not contradict; 0 if there were no successes."""
    return 0.0 if successes <= 0 else 1 - _find_upper(trials - successes, trials, miss)


# A fleet asks for the same counts again and again: blocks of its baselines are all of one size.
@lru_cache(maxsize=16_384)
def _find_upper(successes: int, trials: int, miss: float) -> float:
    """The share at which so few successes, or fewer, have the chance ``miss``.

    Newton's method on the logarithm of that chance, which is concave in the share (Bagnoli and Bergstrom, Economic
    Theory 26, 2005): from its second point on it comes down to the root from above and never leaves it behind.
    """
    failures = trials - successes
    log_ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(failures + 1)
    log_miss = math.log(miss)
    low, high = 0.0, 1.0
    share = _guess_upper(successes, trials, log_miss)
    for _ in range(_STEPS):
        if share >= 1:  # nearer to 1 than a double can say
            return 1.0
        terms = _sum_tail(successes, trials, share)
        log_likely = log_ways + successes * math.log(share) + failures * math.log1p(-share)
        excess = log_likely + math.log(terms) - log_miss
        if excess < 0:
            high = share
        else:
            low = share
        step = excess * terms * (1 - share) / failures
        # Each step squares the error: what a step below this leaves is beyond a double's digits.
        if abs(step) <= _LAST_STEP * min(share, 1 - share):
            return share + step
        share = share + step if low < share + step < high else (low + high) / 2
    return share


def _sum_tail(successes: int, trials: int, share: float) -> float:
    """P(so many or fewer) over P(just so many): beyond the mean the terms fall like a geometric series."""
    odds = (1 - share) / share
    term = total = 1.0
    fewer, last = trials - successes + 1, _LAST_TERM
    for count, rest in zip(range(successes, 0, -1), range(fewer, trials + 1), strict=True):
        term *= count * odds / rest
        total += term
        if term < last * total:
            break
    return total


def _guess_upper(successes: int, trials: int, log_miss: float) -> float:
    """Wilson's score limit, with the normal quantile of the miss by the first terms of its expansion."""
    z = math.sqrt(max(-2 * log_miss - math.log(max(-2 * log_miss, 1.0)) - 1.8, 0.0))
    share = (successes + 0.5) / trials
    spread = z * math.sqrt(max(share * (1 - share), 0.0) / trials + (z / trials) ** 2 / 4)
    guess = (share + z * z / (2 * trials) + spread) / (1 + z * z / trials)
    return min(guess, (successes + trials) / (2 * trials))
