"""A finding in words, before any channel has formed them."""

from __future__ import annotations

import msgspec


class Description(msgspec.Struct, frozen=True):
    """A finding in words. Plain text: each channel escapes it for itself.

    Attributes
    ----------
    headline
        What, in a few words, without the endpoint.
    what, what_was
        What, in one sentence, with the baseline: while it lasts, and looking back.
    how_bad
        Effect size and evidence.
    over
        What is true again once it is resolved.
    next_step
        What the engineer on call does first.
    """

    headline: str
    what: str
    what_was: str
    how_bad: str
    over: str
    next_step: str
