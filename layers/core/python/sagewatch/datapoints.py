"""M of N: how many periods must be bad before something is told, and how many good before it is over.

Source: Amazon CloudWatch, "Evaluating an alarm" (datapoints to alarm out of evaluation periods).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_NOTATION = re.compile(r"(\d{1,2}) of (\d{1,2})")


class Datapoints(msgspec.Struct, frozen=True, kw_only=True):
    """Patience with single periods.

    Attributes
    ----------
    bad, of
        It opens with a bad period that makes ``bad`` of the last ``of``.
    good
        It ends after so many good periods in a row: more than one is hysteresis.
    """

    bad: int = 1
    of: int = 1
    good: int = 1

    def opens(self, recent: Sequence[bool]) -> bool:
        """Whether enough of the latest periods, the present one last, were bad.

        Examples
        --------
        >>> Datapoints(bad=2, of=3).opens([True, False, True]), Datapoints(bad=2, of=3).opens([True, False, False])
        (True, False)
        """
        last = list(recent)[-self.of :]
        return bool(last) and last[-1] and sum(last) >= self.bad

    def clears(self, recent: Sequence[bool]) -> bool:
        """Whether the latest periods were all good, and enough of them.

        Examples
        --------
        >>> Datapoints(good=2).clears([True, False]), Datapoints(good=2).clears([True, False, False])
        (False, True)
        """
        last = list(recent)[-self.good :]
        return len(last) == self.good and not any(last)

    @property
    def remembered(self) -> int:
        """How many periods have to be kept."""
        return max(self.of, self.good)


def read_m_of_n(text: str) -> tuple[int, int]:
    """``2 of 3`` as numbers.

    Raises
    ------
    ValueError
        The text is not in that notation, or asks for more than there is.
    """
    match = _NOTATION.fullmatch(text)
    bad, of = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= bad <= of:
        raise ValueError(
            f'must be such as "2 of 3": so many bad periods among the last so many, not {text!r}'
        )
    return bad, of
