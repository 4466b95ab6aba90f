"""What no monitors.yml may hold wherever it stands: what is nested without end, and half characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sagewatch.errors import ConfigurationError

_DEEPEST: Final = 40
"""Nobody nests routes so deep; an anchor that holds itself has no end at all."""


def check_nodes(top: Any, where: str) -> None:
    """Refuse, with line and key, what neither the readers nor the compiled form can take.

    Raises
    ------
    ConfigurationError
        A mapping or list holds itself or is nested too deep, or a text holds half a character.
    """
    waiting, seen = [(top, "", 0)], set()
    while waiting:
        node, key, depth = waiting.pop()
        line = node.start_mark.line + 1
        if depth > _DEEPEST:
            raise ConfigurationError(
                f"is nested more than {_DEEPEST} deep, or in itself", where=where, line=line, key=key
            )
        if node.id == "scalar":
            if any("\ud800" <= one <= "\udfff" for one in node.value):
                raise ConfigurationError(
                    r"holds half a character (\ud800 to \udfff); write it whole, or as \U0001f600",
                    where=where, line=line, key=key,
                )  # fmt: skip
            continue
        if (id(node), depth) not in seen:  # an alias of what was looked at as deep as here holds nothing new
            seen.add((id(node), depth))
            waiting += ((inner, name, depth + 1) for inner, name in _list_inner(node, key))


def _list_inner(node: Any, key: str) -> Iterator[tuple[Any, str]]:
    if node.id == "sequence":
        yield from ((one, f"{key}[{number}]") for number, one in enumerate(node.value))
        return
    for name, value in node.value:
        yield name, key
        if name.id == "scalar":
            text = name.value.encode(errors="replace").decode()
            yield value, f"{key}.{text}" if key else text
