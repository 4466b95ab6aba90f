"""Inputs as a page may show them where their owner called fields sensitive: what is not understood is withheld.

A value is shown only where a name of its own stands right above it, that name is not a sensitive one, and the
value is one plain word or number. Two shapes that keep name and value apart are understood: ``{"name": ...,
"value": ...}`` and a table of ``columns`` and ``data``. Everything else (CSV, lists, text with structure,
documents inside text, a bare ``value``, anything nested too deep) is withheld.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from sagewatch.evidence.sensitive_names import REDACTED, SensitiveNames, split_words

UNNAMED: Final = "[withheld: no name of its own]"
WITHHELD: Final = "withheld: the endpoint has sensitive fields, and this input does not name its own"
MOST_DEPTH: Final = 40
"""Of what is looked into; a document nested deeper is withheld."""
_LONGEST_WORD: Final = 120
_SHORTEST_SECRET: Final = 4
"""Characters from which a redacted value is looked for elsewhere; shorter ones stand everywhere by chance."""
_SHORTEST_RESPELLED: Final = 6
"""Letters and digits from which it is also looked for in other spellings."""
_TABLE: Final = ("columns", "data")
_NAMING: Final = frozenset({"name", "key", "field", "feature", "feature_name", "column"})
_VALUES: Final = frozenset({"value", "values", "data"})
_TYPES: Final = frozenset({"type", "datatype", "dtype", "shape"})
_STRUCTURED = re.compile(r"[,;|=&:{}\[\]<>()\"\\\n\r\t]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


def redact_text(text: str, sensitive: Collection[str]) -> str:
    """The text with only those values left that are known not to be sensitive.

    Examples
    --------
    >>> redact_text('{"age": 30, "who": {"Customer_ID": "c-7"}}', ["customer_id"])
    '{"age": 30, "who": {"Customer_ID": "[redacted]"}}'
    >>> redact_text('{"columns": ["age", "zip"], "data": [[30, "79098"]]}', ["zip"])
    '{"columns": ["age", "zip"], "data": [[30, "[redacted]"]]}'
    >>> redact_text("30,c-7", ["customer_id"]) == WITHHELD
    True
    """
    if not sensitive:
        return text
    names = SensitiveNames(sensitive)
    try:
        objects = _read_objects(text)
        if names.everything or not objects or _mentions(objects, names):
            return WITHHELD
        kept = [_redact(one, names, MOST_DEPTH) for one in objects]
        secrets = set(_list_secrets(objects, kept))
    except RecursionError:
        return WITHHELD
    lines = [json.dumps(one, ensure_ascii=False) for one in kept]
    shown = f"[{', '.join(lines)}]" if text.lstrip().startswith("[") else "\n".join(lines)
    if any(secret in shown for secret in secrets) or _is_respelled(secrets, kept):
        return WITHHELD
    return shown.encode("utf-8", "replace").decode()


def _read_objects(text: str) -> list[Any]:
    """The objects of one JSON document, or of one a line; none where anything else is among them."""
    try:
        found = json.loads(text)
        found = found if isinstance(found, list) else [found]
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return []
    return found if all(isinstance(one, dict) for one in found) else []


def _mentions(value: Any, names: SensitiveNames) -> bool:
    """Whether a sensitive name stands where a value does: then any value near could be its own.

    The two shapes that are understood apart.
    """
    if isinstance(value, str):
        return names.match(value)
    if isinstance(value, list):
        return any(_mentions(one, names) for one in value)
    if not isinstance(value, dict):
        return False
    left_out = {"columns"} if _is_table(value) else {_find_naming(value)}
    return any(
        _mentions(inside, names)
        for key, inside in value.items()
        if key not in left_out and not names.match(key)
    )


def _redact(value: Any, names: SensitiveNames, depth: int) -> Any:
    """What may be shown of a value that stands under a name that is not sensitive."""
    if isinstance(value, str):
        return value if _is_plain(value) else UNNAMED
    if not isinstance(value, dict | list):
        return value
    if depth <= 0:
        return UNNAMED
    if isinstance(value, dict):
        return _redact_object(value, names, depth - 1)
    if all(isinstance(one, dict) for one in value):
        return [_redact_object(one, names, depth - 1) for one in value]
    return UNNAMED


def _redact_object(value: dict[str, Any], names: SensitiveNames, depth: int) -> Any:
    if _is_table(value):
        return _redact_table(value, names)
    naming = _find_naming(value)
    if naming is not None and names.match(value[naming]):
        return {key: names.show(value[naming]) if key == naming else REDACTED for key in value}
    kept: dict[str, Any] = {}
    for key, inside in value.items():
        if names.match(key):
            kept[names.show(key)] = REDACTED
        elif not isinstance(inside, dict | list) and naming is None and names.is_unnamed(key):
            kept[key] = UNNAMED
        elif _is_plain(key):
            kept[key] = _redact(inside, names, depth)
        else:
            kept[UNNAMED] = UNNAMED
    return kept


def _find_naming(value: Mapping[str, Any]) -> str | None:
    """The key of the name in an object that is one field: its name, its value, perhaps its type; else None."""
    keys = set(value)
    naming = keys & _NAMING
    if len(naming) != 1 or not keys & _VALUES or keys - naming - _VALUES - _TYPES:
        return None
    (key,) = naming
    return key if isinstance(value[key], str) else None


def _is_table(value: Mapping[str, Any]) -> bool:
    """Whether it is a table as pandas (``orient="split"``) and MLflow write it: names once, then rows of values."""
    columns, rows = (value.get(name) for name in _TABLE)
    return (
        isinstance(columns, list)
        and isinstance(rows, list)
        and bool(columns)
        and all(isinstance(one, str) for one in columns)
        and all(isinstance(row, list) and len(row) == len(columns) for row in rows)
    )


def _redact_table(value: Mapping[str, Any], names: SensitiveNames) -> dict[str, Any]:
    columns, rows = (value[name] for name in _TABLE)
    hidden = [names.match(name) or names.is_unnamed(name) or not _is_plain(name) for name in columns]
    if len(columns) == len(rows) > 1:
        hidden = [any(hidden)] * len(hidden)  # it may lie on its side, a row a column
    return {
        "columns": [
            names.show(name) if names.match(name) or not _is_plain(name) else name for name in columns
        ],
        "data": [
            [REDACTED if hide else _redact(cell, names, 0) for cell, hide in zip(row, hidden, strict=True)]
            for row in rows
        ],
    }


def _is_plain(text: str) -> bool:
    """Whether a text is one value: a word, a phrase, a time; nothing that other values could lie in."""
    if len(text) > _LONGEST_WORD:
        return False
    return bool(_TIME.fullmatch(text)) or not (_STRUCTURED.search(text) or _is_encoded(text))


def _is_encoded(text: str) -> bool:
    """Whether it is base64 of text with structure."""
    for alphabet in (text, text.translate(str.maketrans("-_", "+/"))):
        try:
            inside = base64.b64decode(alphabet + "=" * (-len(alphabet) % 4), validate=True).decode()
        except ValueError:
            continue
        if len(text) >= _SHORTEST_SECRET and _STRUCTURED.search(inside):
            return True
    return False


def _list_secrets(value: Any, kept: Any) -> Iterator[str]:
    """Texts and numbers that were redacted by name: where one stands elsewhere too, it is not to be shown there."""
    if kept == REDACTED:
        yield from _iterate_leaves(value)
    elif isinstance(value, dict) and isinstance(kept, dict):
        for key, inside in value.items():
            yield from _list_secrets(inside, kept.get(key, REDACTED if REDACTED in kept else UNNAMED))
    elif isinstance(value, list) and isinstance(kept, list):
        for inside, shown in zip(value, kept, strict=True):
            yield from _list_secrets(inside, shown)


def _iterate_leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from _iterate_leaves(inside)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) >= _SHORTEST_SECRET:
            yield text


def _is_respelled(secrets: Collection[str], kept: Any) -> bool:
    """Whether a redacted value stands where something is shown, with other separators or in another case."""
    respelled = {"".join(split_words(secret)) for secret in secrets}
    looked_for = [secret for secret in respelled if len(secret) >= _SHORTEST_RESPELLED]
    return bool(looked_for) and any(
        secret in shown
        for shown in map("".join, map(split_words, _iterate_shown(kept)))
        for secret in looked_for
    )


def _iterate_shown(value: Any) -> Iterator[str]:
    """Keys, texts and numbers of what is left."""
    if isinstance(value, dict):
        yield from value
        for inside in value.values():
            yield from _iterate_shown(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _iterate_shown(inside)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)
