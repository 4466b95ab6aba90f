"""A monitoring report as a page may show it: of sensitive fields only the name and the broken check are left."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sagewatch.evidence.redaction import MOST_DEPTH
from sagewatch.evidence.sensitive_names import SensitiveNames

_COLUMN: Final = ("name", "feature_name")
_NAMING: Final = (*_COLUMN, "facet", "label")
_CHECK: Final = "constraint_check_type"
_GONE: Final = {"redacted": True}


def redact_report(report: Any, sensitive: Collection[str]) -> Any:
    """A report of an analyzer, without what it tells of sensitive fields: distributions, examples, sentences.

    A column without a name of its own (``_c0``) could be any of them.

    Examples
    --------
    >>> redact_report({"features": [{"name": "age", "mean": 30}, {"name": "Zip", "mean": 7}]}, ["zip"])
    {'features': [{'name': 'age', 'mean': 30}, {'name': 'Zip', 'redacted': True}]}
    """
    return _redact(report, SensitiveNames(sensitive), MOST_DEPTH) if sensitive else report


def _redact(value: Any, names: SensitiveNames, depth: int) -> Any:
    if isinstance(value, dict | list) and depth <= 0:
        return _GONE
    if isinstance(value, list):
        return [_redact(one, names, depth - 1) for one in value]
    if not isinstance(value, dict):
        return value
    unnamed = any(names.is_unnamed(str(value[key])) for key in _COLUMN if key in value)
    if unnamed or any(_is_sensitive(value[key], names) for key in _NAMING if key in value):
        return {name: inside for name, inside in value.items() if name in {*_NAMING, _CHECK}} | _GONE
    return {
        key: _GONE if names.match(key) else _redact(inside, names, depth - 1) for key, inside in value.items()
    }


def _is_sensitive(name: Any, names: SensitiveNames) -> bool:
    return names.everything or names.match(str(name))
