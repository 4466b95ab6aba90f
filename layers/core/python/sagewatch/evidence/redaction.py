"""Inputs and reports as a page may show them: fields that their owner called sensitive are taken out.

An input whose fields have no names (CSV, free text) cannot be looked into, so none of it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

REDACTED = "[redacted]"
_NAMING = ("name", "feature_name", "facet", "label")
_CHECK = "constraint_check_type"
WITHHELD = "withheld: the endpoint has sensitive fields, and this input does not name its own"


def redact_text(text: str, sensitive: Collection[str]) -> str:
    """The text without the values of sensitive fields, at any depth, whatever their letters' case.

    Examples
    --------
    >>> redact_text('{"age": 30, "who": {"Customer_ID": "c-7"}}', ["customer_id"])
    '{"age": 30, "who": {"Customer_ID": "[redacted]"}}'
    >>> redact_text("30,c-7", ["customer_id"]) == WITHHELD
    True
    """
    if not sensitive:
        return text
    names = {name.casefold() for name in sensitive}
    lines = []
    for line in text.splitlines() or [text]:
        try:
            value = json.loads(line)
        except ValueError:
            return _redact_whole(text, names)
        if not isinstance(value, dict | list) or not _has_names(value):
            return WITHHELD
        lines.append(json.dumps(_redact(value, names), ensure_ascii=False))
    return "\n".join(lines)


def redact_report(report: Any, sensitive: Collection[str]) -> Any:
    """A report of an analyzer, without what it tells of sensitive fields: distributions, examples, sentences.

    Examples
    --------
    >>> redact_report({"features": [{"name": "age", "mean": 30}, {"name": "Zip", "mean": 7}]}, ["zip"])
    {'features': [{'name': 'age', 'mean': 30}, {'name': 'Zip', 'redacted': True}]}
    """
    names = {name.casefold() for name in sensitive}
    return _redact_entries(report, names) if names else report


def _redact_entries(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_redact_entries(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    for key in _NAMING:
        if str(value.get(key, "")).casefold() in names:
            kept = {name: inside for name, inside in value.items() if name in {key, _CHECK}}
            return {**kept, "redacted": True}
    return {
        key: {"redacted": True} if key.casefold() in names else _redact_entries(inside, names)
        for key, inside in value.items()
    }


def _redact_whole(text: str, names: set[str]) -> str:
    """JSON over several lines."""
    try:
        value = json.loads(text)
    except ValueError:
        return WITHHELD
    return json.dumps(_redact(value, names), ensure_ascii=False) if _has_names(value) else WITHHELD


def _has_names(value: Any) -> bool:
    """Whether every value in it stands under a name."""
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and bool(value) and all(map(_has_names, value))


def _redact(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if key.casefold() in names else _redact(inside, names)
            for key, inside in value.items()
        }
    return [_redact(one, names) for one in value] if isinstance(value, list) else value
