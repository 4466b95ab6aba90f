"""Numbers, times and foreign text as a person reads them in a message at night."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_UNSPEAKABLE = 1e18
_MEASURED = 1e100  # detectors count to 1e300 at most: beyond this the number is theirs, not the traffic's
_AMOUNT = re.compile(r"(?<=\d) (?=(?:s|min|h|d|points|million|billion|trillion)\b|%)")
HARD_SPACE = "\N{NO-BREAK SPACE}"
_JOINER = "\N{ZERO WIDTH JOINER}"
_BOUND = frozenset({_JOINER, *map(chr, range(0x1F3FB, 0x1F400))})  # skin tones
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))  # two of them are a flag
_FSI, _PDI = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_APART = re.compile(f"{_FSI}[^{_FSI}{_PDI}]*{_PDI}")
_NO_ISOLATES = dict.fromkeys(map(ord, (_FSI, _PDI)))
_KEPT = frozenset({_JOINER, "\N{ZERO WIDTH NON-JOINER}", _FSI, _PDI})
_LONGEST_CLUSTER = 32


def format_share(share: float) -> str:
    """A share in percent: whole from ten up, else with two significant digits.

    Examples
    --------
    >>> format_share(0.83), format_share(0.0214), format_share(0.0004), format_share(0.9996)
    ('83 %', '2.1 %', '0.04 %', '99.96 %')
    """
    percent = share * 100
    if 99 < percent < 100:  # noqa: PLR2004 - "100 %" would be untrue
        return f"{percent:.2f} %"
    if abs(percent) >= 10 or percent == 0:  # noqa: PLR2004 - two digits stand before the point
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if abs(percent) >= 0.01 else "under 0.01 %"  # noqa: PLR2004


def format_points(difference: float) -> str:
    """A difference of shares in percentage points.

    Examples
    --------
    >>> format_points(0.809), format_points(-0.004)
    ('81 points more', '0.4 points less')
    """
    points = abs(difference) * 100
    size = f"{points:.0f}" if points >= 10 else f"{points:.2g}"  # noqa: PLR2004
    return f"{size} points {'less' if difference < 0 else 'more'}"


def format_number(number: float) -> str:
    """A measured number with four significant digits, whole from a thousand up.

    Examples
    --------
    >>> format_number(0.31416), format_number(1), format_number(-53.79), format_number(12345.6), format_number(2e300)
    ('0.3142', '1', '-53.79', '12,346', '2e+300')
    """
    return f"{number:,.0f}" if 1000 <= abs(number) < _UNSPEAKABLE else f"{number:.4g}"  # noqa: PLR2004


def format_count(count: float) -> str:
    """A count that stays readable however large.

    Examples
    --------
    >>> format_count(1234), format_count(8.44e9), format_count(3e40), format_count(1e300)
    ('1,234', '8.4 billion', '10^40', 'over 10^100')
    """
    if count > _MEASURED:
        return f"over {format_count(_MEASURED)}"
    if count >= _UNSPEAKABLE:
        return f"10^{len(f'{count:.0f}') - 1}"
    for size, name in _SCALES:
        if count >= size:
            return f"{count / size:.2g} {name}" if count < 100 * size else f"{count / size:,.0f} {name}"
    return f"{count:,.0f}"


def format_dollars_at_most(amount: float) -> str:
    """An amount of money, rounded up: whole cents from a dollar up, else two significant digits.

    Examples
    --------
    >>> format_dollars_at_most(0.0016), format_dollars_at_most(0.0234), format_dollars_at_most(12.341)
    ('$0.0016', '$0.024', '$12.35')
    """
    digits = 2 if amount >= 1 or amount <= 0 else 1 - math.floor(math.log10(amount))
    # Not up by what the binary form of 0.0016 is above it.
    cents = math.ceil(round(amount * 10**digits, 6))
    return f"${cents / 10**digits:,.{digits}f}"


def format_duration(length: timedelta | float) -> str:
    """A length of time in its two largest units.

    Examples
    --------
    >>> format_duration(47), format_duration(1260), format_duration(7500), format_duration(180000)
    ('47 s', '21 min', '2 h 5 min', '2 d 2 h')
    """
    seconds = round(length if isinstance(length, int | float) else length.total_seconds())
    if seconds < 60:  # noqa: PLR2004
        return f"{max(seconds, 0)} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"  # noqa: PLR2004


def hold_amounts(text: str) -> str:
    """The text with a hard space between each number and its unit, so that no line parts them."""
    return _AMOUNT.sub(HARD_SPACE, text)


def format_time(at: datetime) -> str:
    """A time to the second, in UTC, which it says."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def clean_text(text: str, limit: int, *, isolated: bool = True) -> str:
    """Text from outside on one line, of at most ``limit`` characters, without invisible control over others.

    Control characters and line ends become spaces; marks that turn the reading direction of what follows
    (bidi embeddings, overrides and isolates) are dropped.

    Parameters
    ----------
    isolated
        Set a text with right-to-left letters apart (FSI, PDI): the figures that follow it stay where they belong. What
        was set apart before stays so. False for what a machine reads. Source: Unicode Standard Annex 9, 2.7.

    Examples
    --------
    >>> clean_text("\u05d0\u202e", 9), clean_text("\u05d0", 9, isolated=False), clean_text("\u2068a\u2069", 9)
    ('\u2068\u05d0\u2069', '\u05d0', 'a')
    """
    # Cut first: a name of megabytes is not worth reading to its end.
    shown = "".join(_clean_character(character) for character in text[: 4 * limit])
    shown = " ".join(shown.split())
    bare = shown.translate(_NO_ISOLATES)
    if not isolated or not _is_right_to_left(bare):
        return _cut(bare, limit, is_whole=len(text) <= 4 * limit)
    if _is_set_apart(shown) and len(shown) <= limit and len(text) <= 4 * limit:
        return shown
    return f"{_FSI}{_cut(bare, limit - 2, is_whole=len(text) <= 4 * limit)}{_PDI}"


def _cut(text: str, limit: int, *, is_whole: bool) -> str:
    if len(text) <= limit and is_whole:
        return text
    return text[: find_cut(text, limit - 1)].rstrip() + "…"


def _is_right_to_left(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(one) in {"R", "AL", "AN"} for one in text)


def _is_set_apart(text: str) -> bool:
    """Whether all right-to-left letters stand between marks that are closed again."""
    around = _APART.sub("", text)
    return around == around.translate(_NO_ISOLATES) and not _is_right_to_left(around)


def close_isolate(text: str) -> str:
    """The text with the end of what it sets apart, where it was cut before that."""
    return text + (_PDI if text.rfind(_FSI) > text.rfind(_PDI) else "")


def find_cut(text: str, at: int) -> int:
    """Where to cut so that at most ``at`` characters stay and no letter loses its accent, no emoji its family.

    What goes on without end (a letter under a thousand accents) is cut where it must be. Source: Unicode Standard Annex
    29, grapheme cluster boundaries, as far as names go: marks, joiners, skin tones and flags.

    Examples
    --------
    >>> find_cut("cafe\u0301", 4), find_cut("abc", 2), find_cut("\U0001f469\u200d\U0001f467!", 2)
    (3, 2, 0)
    """
    if at >= len(text):
        return len(text)
    cut = at
    while cut > 0 and at - cut <= _LONGEST_CLUSTER and _is_inside(text, cut):
        cut -= 1
    return cut if at - cut <= _LONGEST_CLUSTER else at


def _is_inside(text: str, cut: int) -> bool:
    """Whether the character behind the cut belongs to the one before it."""
    before, behind = text[cut - 1], text[cut]
    if before == _JOINER or behind in _BOUND or unicodedata.category(behind) in {"Mn", "Me", "Mc"}:
        return True
    if behind not in _FLAG_LETTERS or before not in _FLAG_LETTERS:
        return False
    run = 0
    while run < cut and text[cut - 1 - run] in _FLAG_LETTERS:
        run += 1
    return run % 2 == 1


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp"}:
        return " "
    # Cs: a lone surrogate cannot be encoded. Cf: bidi controls; joiners of emoji and Persian are kept, isolates judged.
    if category == "Cs" or (category == "Cf" and character not in _KEPT):
        return ""
    return character
