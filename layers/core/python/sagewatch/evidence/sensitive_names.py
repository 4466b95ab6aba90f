"""The names that an owner called sensitive, found again however they are spelled."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Final

REDACTED: Final = "[redacted]"
EVERYTHING: Final = "*"
"""As a sensitive field: every field is."""
_LONGEST_NAME: Final = 120
_SHORTEST_SINGULAR: Final = 3
_NO_NAMES: Final = (
    frozenset({"value", "values", "data", "v", "val", "element", "row", "cell", "text", "bytes", "tensor"})
    | {"int", "integer", "float", "double", "number", "bool", "boolean", "str", "string", "array"}
    | {"feature", "features", "field", "fields", "column", "columns", "col", "cols"}
    | {"attribute", "attr", "var"}
    | {"input", "inputs", "instance", "instances", "item", "items", "record", "records", "sample", "samples"}
    | {"request", "body", "payload", "content", "raw", "csv", "line", "message", "prompt"}
)
"""Words that say where or of which type a value is, not what it is; so do numbers and single letters."""
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

Words = tuple[str, ...]


class SensitiveNames:
    """The names that an owner called sensitive, found again in other spellings.

    Letters' case, separators, a plural, numbers and what stands around do not matter: ``customer_id`` is also
    ``Customer-ID``, ``customerId``, ``CUSTOMERIDS``, ``customer_id2`` and ``billing.customerid.hash``.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.everything = EVERYTHING in names
        given = [name for name in names if name != EVERYTHING]
        self._spellings = {form for name in given for form in _list_forms("".join(split_words(name)))}
        self._spellings |= {_fold(name) for name in given}
        self._longest = max(map(len, self._spellings), default=0)
        self._schemes = {_read_scheme(name) for name in given if _is_position(name)}

    def match(self, text: str) -> bool:
        """Whether a sensitive name stands in the text."""
        words = split_words(text)
        if "".join(words) in self._spellings or _fold(text) in self._spellings:
            return True
        return any(run in self._spellings for run in _iterate_runs(words, self._longest))

    def show(self, text: str) -> str:
        """The text where it is nothing but a sensitive name; with more in it, it could hold a value as well."""
        only = "".join(split_words(text)) in self._spellings and len(text) <= _LONGEST_NAME
        return text if only else REDACTED

    def is_unnamed(self, name: str) -> bool:
        """Whether a name says at most where a value stands, so that it could be any field's.

        Where the owner speaks of fields by such names (``_c3``), those of the same kind are names, too.
        """
        return _is_position(name) and _read_scheme(name) not in self._schemes


def split_words(name: str) -> Words:
    """The words and numbers of a name, whatever separates them.

    Examples
    --------
    >>> split_words("billing.CustomerID"), split_words("customer_id2"), split_words("SSNNumber")
    (('billing', 'customer', 'id'), ('customer', 'id', '2'), ('ssn', 'number'))
    """
    return tuple(
        word.casefold() for word in _WORDS.findall(_CAMEL.sub(" ", unicodedata.normalize("NFKC", name)))
    )


def _list_forms(name: str) -> set[str]:
    """A name without separators, in the singular and in the plural.

    Examples
    --------
    >>> sorted(_list_forms("customerid")), "address" in _list_forms("addresses")
    (['customerid', 'customerides', 'customerids'], True)
    """
    forms = {name, f"{name}s", f"{name}es"}
    if name.endswith("y"):
        forms.add(f"{name[:-1]}ies")
    for ending, singular in (("s", ""), ("es", ""), ("ies", "y")):
        if name.endswith(ending) and len(name) - len(ending) >= _SHORTEST_SINGULAR:
            forms.add(name.removesuffix(ending) + singular)
    return forms if name else set()


def _iterate_runs(words: Words, longest: int) -> Iterator[str]:
    """Neighbouring words joined, none longer than that."""
    for start in range(len(words)):
        run = ""
        for word in words[start:]:
            run += word
            if len(run) > longest:
                break
            yield run


def _is_position(name: str) -> bool:
    """Whether a name says where a value stands, or of which type it is, and not what it is.

    Examples
    --------
    >>> [_is_position(name) for name in ("_c0", "instances_0_features_1", "value", "age_1")]
    [True, True, True, False]
    """
    return all(word.isdigit() or len(word) == 1 or word in _NO_NAMES for word in split_words(name))


def _read_scheme(name: str) -> Words:
    """A position's words without its numbers: ``_c0`` and ``_c12`` are of one scheme."""
    return tuple(word for word in split_words(name) if not word.isdigit())


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
