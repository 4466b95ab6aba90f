"""Numbers as AWS's analyzer prints them in its sentences: the way of Java's ``Double.toString``."""

from __future__ import annotations

from decimal import Decimal

_SMALLEST_PLAIN = 1e-3
_LARGEST_PLAIN = 1e7


def format_double(number: float) -> str:
    """A double in the fewest digits that name it, plain from 0.001 to 10 million, else with an exponent.

    Examples
    --------
    >>> format_double(1), format_double(0.17354640931273702), format_double(38000000), format_double(1e-05)
    ('1.0', '0.17354640931273702', '3.8E7', '1.0E-5')
    """
    number = float(number)
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is what differs from itself
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(number)]
    if number == 0 or _SMALLEST_PLAIN <= abs(number) < _LARGEST_PLAIN:
        plain = format(Decimal(repr(number)), "f")
        return plain if "." in plain else plain + ".0"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = int(exponent) + len(digits) - 1
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{power}"
