"""monitors.yml as it is read: mappings whose keys are taken once, and the notation of single values.

Every error names file, line and key; a key that nobody takes is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from sagewatch.errors import ConfigurationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = timedelta(days=36525)
NOTHING: Final = frozenset({"", "~", "null"})
"""How YAML writes that there is nothing."""

_LATER: Final = {
    "class-concentration": ("seasons",),
}
T = TypeVar("T")


class Section:
    """A mapping of the file: its keys are announced, then each is taken once."""

    def __init__(self, node: Any, where: str, path: str, kind: str) -> None:
        self.where, self.path, self.kind, self.line = where, path, kind, node.start_mark.line + 1
        self._nodes: dict[str, Any] = {}
        self._lines: dict[str, int] = {}
        if node.id == "scalar" and node.value in NOTHING:
            return
        if node.id != "mapping":
            raise ConfigurationError("must be a mapping (key: value)", where=where, line=self.line, key=path)
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.id != "scalar":
                raise ConfigurationError("has a key that is no text", where=where, line=line, key=path)
            if key.value in self._nodes:
                raise ConfigurationError("is given twice", where=where, line=line, key=self._name(key.value))
            self._nodes[key.value], self._lines[key.value] = value, line

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, reason: str) -> ConfigurationError:
        """The error that this key is wrong, to be raised."""
        line = self._lines.get(key, self.line)
        return ConfigurationError(reason, where=self.where, line=line, key=self._name(key))

    def wrong(self, reason: str) -> ConfigurationError:
        """The error that the whole section is wrong, to be raised."""
        return ConfigurationError(reason, where=self.where, line=self.line, key=self.path)

    def names(self) -> list[str]:
        """Keys that nobody has taken yet."""
        return list(self._nodes)

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """A scalar or list, read from its plain value; the reader's ValueError becomes the message."""
        node = self._nodes.pop(key, None)
        if node is None:
            return default
        try:
            return read(_plain(node))
        except ValueError as error:
            raise ConfigurationError(
                str(error), where=self.where, line=node.start_mark.line + 1, key=self._name(key)
            ) from None

    def section(self, key: str, kind: str) -> Section | None:
        """The mapping under a key, None where there is none; ``kind`` is what its keys are called in errors."""
        node = self._nodes.pop(key, None)
        return None if node is None else Section(node, self.where, self._name(key), kind)

    def sections(self, key: str, kind: str) -> list[Section]:
        """The list of mappings under a key."""
        node = self._nodes.pop(key, None)
        if node is None:
            return []
        if node.id != "sequence":
            raise self.fail(key, "must be a list")
        return [Section(one, self.where, f"{self._name(key)}[{n}]", kind) for n, one in enumerate(node.value)]

    def expect(self, *known: str) -> None:
        """Say which keys there are, before any is read: a misspelt one is told before what it leaves missing."""
        for key in self._nodes:
            if key in known:
                continue
            if key in _LATER.get(self.kind, ()):
                raise self.fail(key, "is not supported yet; remove it")
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise self.fail(key, f"is not known here; {hint}")


def _plain(node: Any) -> Any:
    if node.id == "scalar":
        return node.value
    if node.id == "sequence":
        return [_plain(one) for one in node.value]
    if any(key.id != "scalar" for key, _ in node.value):
        raise ValueError("has a key that is no text")
    return {key.value: _plain(value) for key, value in node.value}


def read_all(section: Section | None, kind: str, read: Callable[[Section], T]) -> dict[str, T]:
    """Every mapping below a section, by its key."""
    if section is None:
        return {}
    found = {}
    for name in section.names():
        inner = section.section(name, kind)
        if inner is not None:
            found[name] = read(inner)
    return found


def read_optional(section: Section, key: str, read: Callable[[Section], T]) -> T | None:
    """The mapping under a key, read; None where there is none."""
    inner = section.section(key, key)
    return None if inner is None else read(inner)


def read_list(value: Any) -> tuple[str, ...]:
    """One text, or a list of them."""
    texts = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(one, str) for one in texts):
        raise ValueError(f"must be a list of texts, not {value!r}")
    return texts


def read_text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def read_count(value: Any) -> int:
    """A whole number."""
    if not isinstance(value, str) or not value.replace("_", "").isdecimal():
        raise ValueError(f"must be a whole number such as 1000, not {value!r}")
    return int(value)


def read_positive(value: Any) -> int:
    """A whole number from 1 up."""
    number = read_count(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def read_at_most(most: int, why: str = "") -> Callable[[Any], int]:
    """A reader of whole numbers from 1 to ``most``; ``why`` is what the person hears of the bound's reason."""

    def read(value: Any) -> int:
        number = read_positive(value)
        if number > most:
            raise ValueError(f"must be at most {most}, not {number}" + (f": {why}" if why else ""))
        return number

    return read


def read_share(value: Any) -> float:
    """A share between 0 and 1, both excluded."""
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 < share < 1:
        raise ValueError(f"must be a share between 0 and 1 such as 0.5, not {value!r}")
    return share


def read_switch(value: Any) -> bool:
    """``true`` or ``false``."""
    if value not in ("true", "false"):
        raise ValueError(f"must be true or false, not {value!r}")
    return bool(value == "true")


def read_duration(value: Any) -> timedelta:
    """A duration such as ``30s``, ``20m``, ``1h`` or ``4d``.

    Raises
    ------
    ValueError
        It is none, or not above zero, or above a hundred years.

    Examples
    --------
    >>> read_duration("20m")
    datetime.timedelta(seconds=1200)
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError(f"must be a duration such as 30s, 20m, 1h or 4d, not {value!r}")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"must be at most {_LONGEST.days}d, not {value!r}")
    return timedelta(seconds=seconds)


def read_wait(value: Any) -> timedelta:
    """A duration that may be ``0s``: do not wait."""
    return timedelta(0) if value in ("0", "0s") else read_duration(value)
