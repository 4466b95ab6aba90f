"""Preprocess and postprocess scripts on AWS's documented contract (CONTRACTS §4)."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sagewatch.errors import SagewatchError
from sagewatch.quality.payload import Row, spell
from sagewatch.quality.profile import MOST_COLUMNS

_LONGEST_CAUSE: Final = 300
# What pandas' markers of a missing value print.
_MISSING: Final = frozenset({"NaT", "<NA>"})
_log = logging.getLogger(__name__)


class ScriptError(SagewatchError):
    """A user's script cannot be loaded, raised, or returned what the contract does not know.

    Parameters
    ----------
    script
        File name of the script.
    cause
        What happened, with the script's own line where it has one.
    where, line, record_id
        The record that it was called with.
    said
        The error's own text, which is not in the message: it may quote the record. For its author's eyes.
    """

    def __init__(
        self,
        script: str,
        cause: str,
        *,
        where: str = "",
        line: int | None = None,
        record_id: str = "",
        said: str = "",
    ) -> None:
        record = f" at {where}, line {line}" if where else ""
        record += f" (record {record_id})" if record_id else ""
        super().__init__(f"{script}: {cause}{record}")
        self.script, self.cause, self.where, self.line, self.record_id = script, cause, where, line, record_id
        self.said = said


class EventData:
    """One side of a record, as a script sees it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.encoding = given.get("encoding")
        self.data = given.get("data")
        self.observedContentType = given.get("observedContentType")
        self.mode = given.get("mode")

    def as_dict(self) -> dict[str, Any]:
        """The documented three fields."""
        return {"encoding": self.encoding, "data": self.data, "observedContentType": self.observedContentType}


class EventMetadata:
    """When and as what a record was inferred."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.event_id = given.get("eventId")
        self.event_time = given.get("inferenceTime")
        self.custom_attribute = given.get("customAttributes")


class CapturedData:
    """A capture record, as a script sees it; a part that was not captured is None."""

    def __init__(self, event_dict: dict[str, Any]) -> None:
        captured = event_dict.get("captureData") or {}
        self.event_dict = event_dict
        self.event_version = event_dict.get("eventVersion")
        self.event_metadata = EventMetadata(event_dict.get("eventMetadata") or {})
        self.endpoint_input = _side(captured.get("endpointInput"))
        self.endpoint_output = _side(captured.get("endpointOutput"))
        self.batch_transform_output = _side(captured.get("batchTransformOutput"))
        self.ground_truth = _side(event_dict.get("groundTruthData"))

    def as_dict(self) -> dict[str, Any]:
        """The record as it was captured."""
        return self.event_dict

    def __str__(self) -> str:
        return str(self.event_dict)


class Preprocessor:
    """The script's ``preprocess_handler``, called with every record."""

    def __init__(self, script: Path) -> None:
        self._name = script.name
        self._handler = _load_handler(script, "preprocess_handler")
        self._wants_logger = len(inspect.signature(self._handler).parameters) > 1

    def run(self, record: CapturedData | str | dict[str, Any], where: str, line: int) -> list[Row] | None:
        """The rows that the script makes of a record, its keys sorted as text; None: the record as it is.

        Raises
        ------
        ScriptError
            When the script raises, or returns what is no row.
        """
        known = record.event_metadata.event_id if isinstance(record, CapturedData) else None
        record_id = str(known or "")
        try:
            given = self._handler(record, _log) if self._wants_logger else self._handler(record)
        except (Exception, SystemExit) as error:
            cause = _describe(error, self._name)
            raise ScriptError(
                self._name, cause, where=where, line=line, record_id=record_id, said=str(error)
            ) from error
        if given is record:
            return None
        rows = given if isinstance(given, list) else [given]
        odd = [type(row).__name__ for row in rows if not isinstance(row, Mapping)]
        if odd:
            cause = f"returned {odd[0]}, and neither a record nor a list of records"
            raise ScriptError(self._name, cause, where=where, line=line, record_id=record_id)
        many = max(map(len, rows), default=0)
        if many > MOST_COLUMNS:
            cause = f"returned a record of {many} values; at most {MOST_COLUMNS} are read"
            raise ScriptError(self._name, cause, where=where, line=line, record_id=record_id)
        return [_read_row(row) for row in rows if row]


def run_postprocessor(script: Path) -> None:
    """Call the script's ``postprocess_handler()`` after a successful analysis.

    Raises
    ------
    ScriptError
        When it cannot be loaded, or raises.
    """
    handler = _load_handler(script, "postprocess_handler")
    try:
        handler()
    except (Exception, SystemExit) as error:
        raise ScriptError(script.name, _describe(error, script.name), said=str(error)) from error


def _side(given: Any) -> EventData | None:
    return EventData(given) if isinstance(given, Mapping) else None


def _read_row(given: Mapping[Any, Any]) -> Row:
    """AWS sorts the keys as text: that is why its examples pad numbers with zeros."""
    cells = {str(key): value for key, value in given.items()}
    return [(key, _spell(cells[key])) for key in sorted(cells)]


def _spell(value: Any) -> str | None:
    """A script's value as text; NaN and pandas' NaT are how Python spells what is missing."""
    if (
        type(value).__module__ == "numpy"
        and callable(getattr(value, "item", None))
        and not getattr(value, "ndim", 0)
    ):
        # A number of numpy's spells itself np.float64(1.5).
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return spell(value)
    return None if str(value) in _MISSING else spell(value)


def _load_handler(script: Path, name: str) -> Callable[..., Any]:
    try:
        handler = getattr(_load(script), name, None)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        # No record was there yet, of which it could say anything.
        said = f"{_describe(error, script.name)}: {error}"
        raise ScriptError(
            script.name, said if len(said) <= _LONGEST_CAUSE else f"{said[:_LONGEST_CAUSE]}..."
        ) from error
    if not callable(handler):
        raise ScriptError(script.name, f"has no function {name}")
    return handler  # type: ignore[no-any-return]


def _load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sagewatch_script_{script.stem}", script)
    if spec is None or spec.loader is None or not script.is_file():
        raise ScriptError(script.name, "is no Python file that is there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _describe(error: BaseException, script: str) -> str:
    """The error's kind and the line of the script in which it arose; its text may quote what the script was given."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == script
    ]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    said = type(error).__name__
    if isinstance(error, ImportError):
        said = f"{said}: {error.name or error}"
    if isinstance(error, SystemExit):
        said = "it ended the program (sys.exit)"
    return f"line {line}: {said}" if line else said
