"""What another says of a request, without the secrets that were in it: a server may echo an address, a path or a body."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator

STRUCK = "[withheld]"
_LEAST = 4
"""Characters of a secret; what is shorter is part of any word."""
_LEAST_PART = 8
"""Characters of a part of an address that may be a token by itself."""


def strike(words: str, secret: str, url: str, *, cut: bool = False) -> str:
    """The words without the secret, the address, and what of it may be one: its path, its query, their longer parts.

    Parameters
    ----------
    cut
        There was more: what the words end with may be the beginning of a secret.

    Examples
    --------
    >>> strike("no /services/T0/B0/SECRETSECRET here", "", "https://hooks.example/services/T0/B0/SECRETSECRET")
    'no [withheld] here'
    >>> strike("key=Zm9v%2Fbar%3D", "Zm9v/bar=", "https://hooks.example/")
    'key=[withheld]'
    >>> strike("you sent 0123456", "0123456789", "https://hooks.example/", cut=True)
    'you sent [withheld]'
    """
    hidden = sorted(set(_list_hidden(secret, url)), key=len, reverse=True)
    if not hidden:
        return words
    struck = re.sub("|".join(map(re.escape, hidden)), STRUCK, words, flags=re.IGNORECASE)
    return _strike_begun(struck, hidden) if cut else struck


def _strike_begun(words: str, hidden: list[str]) -> str:
    begun = max(
        (size for one in hidden for size in range(1, len(one)) if words.lower().endswith(one[:size].lower())),
        default=0,
    )
    return words[:-begun] + STRUCK if begun else words


def _list_hidden(secret: str, url: str) -> Iterator[str]:
    for one in _list_plain(secret.strip(), url.strip()):
        quoted = urllib.parse.quote(one)
        forms = {one, quoted, urllib.parse.quote(one, safe=""), urllib.parse.quote_plus(one)}
        forms |= {urllib.parse.unquote(one), json.dumps(one)[1:-1], one.replace("&", "&amp;")}
        for form in forms:
            yield from (form, form.replace("/", "\\/"))


def _list_plain(secret: str, url: str) -> Iterator[str]:
    if len(secret) >= _LEAST:
        yield secret
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return
    whole = [url, urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")), parts.path, parts.query]
    yield from (one for one in whole if len(one) >= _LEAST)
    values = [value for _, value in urllib.parse.parse_qsl(parts.query)]
    yield from (one for one in [*parts.path.split("/"), *values] if len(one) >= _LEAST_PART)
