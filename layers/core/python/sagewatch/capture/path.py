"""Paths into an answer, compiled once: the plain ones to closures, the others to JMESPath.

A JMESPath search costs about ten times a walk by hand, and nearly every path is a plain one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sagewatch.errors import ConfigurationError

Walk = Callable[[Any], Any]

_STEP = re.compile(r"\.?(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>-?[0-9]{1,9})\]|(?P<all>\[\*\])")


def compile_path(path: str | int) -> Walk:
    """Make a function that takes an answer and gives what the path finds in it, or None.

    Parameters
    ----------
    path
        JMESPath, or a column number: ``3`` means ``[*][3]``.

    Raises
    ------
    ConfigurationError
        If it is not a JMESPath expression. ``where`` is the path.

    Examples
    --------
    >>> compile_path("predictions[*].label")({"predictions": [{"label": 3}, {"label": 5}]})
    [3, 5]
    """
    text = f"[*][{path}]" if isinstance(path, int) else path
    steps = _read_steps(text)
    return _compile_jmespath(text) if steps is None else _compile_steps(steps)


def _read_steps(text: str) -> list[str | int | None] | None:
    """Names, indexes and None for ``[*]``; None if the path is not a plain one."""
    steps: list[str | int | None] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        # A name must follow a dot except at the start, and a dot cannot start a path.
        if match is None or (match["name"] and match[0].startswith(".") == (at == 0)):
            return None
        steps.append(match["name"] or (int(match["index"]) if match["index"] else None))
        at = match.end()
    return steps or None


def _compile_steps(steps: list[str | int | None]) -> Walk:
    if not steps:
        return lambda value: value
    first, rest = steps[0], _compile_steps(steps[1:])
    if first is None:
        return lambda value: (
            [found for each in value if (found := rest(each)) is not None]
            if isinstance(value, list)
            else None
        )
    if isinstance(first, str):
        return lambda value: rest(value.get(first)) if isinstance(value, dict) else None
    reach = first if first >= 0 else -first - 1
    return lambda value: rest(value[first]) if isinstance(value, list) and len(value) > reach else None


def _compile_jmespath(text: str) -> Walk:
    import jmespath  # noqa: PLC0415 - 20 ms that plain paths do not need

    try:
        search: Walk = jmespath.compile(text).search
    except jmespath.exceptions.JMESPathError as error:
        raise ConfigurationError("not a JMESPath expression", where=text) from error

    def walk(value: Any) -> Any:
        try:
            return search(value)
        except jmespath.exceptions.JMESPathError:
            # A function met a type it does not take: this answer has nothing at the path.
            return None

    return walk
