"""What lies in the files: the ``dataset_format`` of a monitoring job in all of its spellings (CONTRACTS §1.3)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sagewatch.errors import ConfigurationError

INPUT: Final = "endpointInput"
OUTPUT: Final = "endpointOutput"


class FileKind(enum.StrEnum):
    """How rows are written down."""

    CAPTURE = "capture"
    CSV = "csv"
    JSON_LINES = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    PARTIAL = "partial"


class DatasetFormat(msgspec.Struct, frozen=True):
    """The files' format.

    Attributes
    ----------
    kind
        How rows are written down.
    header
        CSV: whether the first row names the columns; None to look.
    sides
        Captures: which sides of a request make columns, the model's answer always first.
    """

    kind: FileKind
    header: bool | None = None
    sides: tuple[str, ...] = (OUTPUT, INPUT)


def parse_dataset_format(text: str) -> DatasetFormat:
    """Read the environment variable ``dataset_format``.

    Raises
    ------
    ConfigurationError
        When it is none of the documented shapes.

    Examples
    --------
    >>> parse_dataset_format('{"csv": {"header": "true", "output_columns_position": "START"}}').header
    True
    >>> parse_dataset_format('{"json": {"line": true}}').kind.value
    'jsonl'
    """
    try:
        given = msgspec.json.decode(text.encode(), type=dict[str, dict[str, Any] | None])
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"no JSON object of objects ({error})", where="dataset_format") from error
    keys = {key.lower(): value or {} for key, value in given.items()}
    if "sagemakercapturejson" in keys:
        return DatasetFormat(FileKind.CAPTURE, sides=_read_sides(keys["sagemakercapturejson"]))
    if "csv" in keys:
        return DatasetFormat(FileKind.CSV, header=_is_true(keys["csv"].get("header", False)))
    if "json" in keys:
        lines = keys["json"].get("lines", keys["json"].get("line", False))
        return DatasetFormat(FileKind.JSON_LINES if _is_true(lines) else FileKind.JSON)
    if "parquet" in keys:
        return DatasetFormat(FileKind.PARQUET)
    known = "sagemakerCaptureJson, csv, json, parquet"
    raise ConfigurationError(f"none of {known}", where="dataset_format", key=", ".join(given) or None)


def _read_sides(given: Mapping[str, Any]) -> tuple[str, ...]:
    names = given.get("captureIndexNames") or [INPUT, OUTPUT]
    sides = tuple(side for side in (OUTPUT, INPUT) if side in names)
    if not sides:
        raise ConfigurationError(
            f"none of {OUTPUT}, {INPUT}", where="dataset_format", key="captureIndexNames"
        )
    return sides


def _is_true(value: object) -> bool:
    """A JSON truth value, or one written as a string."""
    return value is True or str(value).strip().lower() == "true"
