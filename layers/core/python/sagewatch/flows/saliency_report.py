"""The saliency job's ``explanations.json``, as far as it can be read: whatever a job left, the diagnosis has to end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class _Image(msgspec.Struct):
    input: str
    overlay: str
    worker: str = ""
    step: int = 0
    label: int | str = msgspec.field(default=0, name="class")
    probability: float | None = None
    completeness_relative_error: float | None = None
    outside_roi_share: float | None = None
    looks_past_region: bool = False
    role: str = ""
    request_digest: str = ""
    request_id: str = ""
    request_where: str = ""


class _Comparison(msgspec.Struct):
    sentence: str
    verdict: str = ""
    suspicious: int = 0
    others: int = 0
    others_are: str = ""


class _Skipped(msgspec.Struct):
    file: str
    reason: str


_FIELDS: Mapping[str, Any] = {
    "comparison": _Comparison | None,
    "means": dict[str, str],
    "notes": list[str | float | None],
    "added_milliseconds": float | None,
    "job": str,
    "files": dict[str, str],
}
_ROWS: Mapping[str, Any] = {"images": _Image, "skipped": _Skipped}


def read_report(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """What can be read of a report, and what was left out: a row for its fields, or a field for its value.

    Examples
    --------
    >>> read_report(b'{"images": [{"input": "1.png", "overlay": "o.png"}, 1], "added_milliseconds": "x"}')
    ({'images': [{'input': '1.png', 'overlay': 'o.png'}]}, ['added_milliseconds', 'images[1]'])
    >>> read_report(b'[')
    ({}, ['not JSON'])
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        return {}, ["not JSON"]
    if not isinstance(found, dict):
        return {}, ["not an object"]
    report = {name: value for name, value in found.items() if name not in _ROWS and name not in _FIELDS}
    left_out: list[str] = []
    for name, type_ in _FIELDS.items():
        if name in found and _fits(found[name], type_):
            report[name] = found[name]
        elif name in found:
            left_out.append(name)
    for name, type_ in _ROWS.items():
        if name in found:
            report[name] = list(_read_rows(name, found[name], type_, left_out))
    return report, left_out


def _read_rows(name: str, rows: Any, type_: Any, left_out: list[str]) -> Iterator[Any]:
    if not isinstance(rows, list):
        left_out.append(name)
        return
    for number, row in enumerate(rows):
        if _fits(row, type_):
            yield row
        else:
            left_out.append(f"{name}[{number}]")


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True
