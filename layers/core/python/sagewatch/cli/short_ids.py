"""Ids that people type by halves: of an incident or a silence the beginning is enough, where it is that of one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED: Final = 3


def read_id(text: str, what: str) -> str:
    """An id as it was typed, without blanks around it.

    Raises
    ------
    RejectedInputError
        It is empty.
    """
    if (
        not text.strip()
    ):  # a variable of the shell that is not set: where there is one alone it would name that
        raise RejectedInputError("is no id: it is empty", where=what)
    return text.strip()


def find_id(text: str, readable: Sequence[str], unreadable: Sequence[str], what: str, unknown: str) -> str:
    """The one id that is the text, or begins with it; whoever means a row that cannot be read gets no other for it.

    Parameters
    ----------
    what
        What they are ids of, in a word.
    unknown
        Why none may begin so, and where to look.

    Raises
    ------
    RejectedInputError
        None, or several begin so.

    Examples
    --------
    >>> find_id("20261121T12", ["20261121T1234Z-0a", "20261122T0102Z-0b"], [], "incident", "is not known")
    '20261121T1234Z-0a'
    """
    ids = [*readable, *unreadable]
    near = [text] if text in ids else [one for one in ids if one.startswith(text)]
    if len(near) == 1:
        return near[0]
    if not near:
        raise RejectedInputError(unknown, where=f"{what} {text}")
    named = ", ".join(f"{one} (cannot be read)" if one in unreadable else one for one in near[:_NAMED])
    more = ", ..." if len(near) > _NAMED else ""
    raise RejectedInputError(
        f"begins {len(near)} ids ({named}{more}); say more of it", where=f"{what} {text}"
    )
