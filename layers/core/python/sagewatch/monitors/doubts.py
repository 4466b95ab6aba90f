"""What a right monitors.yml says that may not be meant: told by ``sagewatch check``, refused by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sagewatch.incident.describe import KINDS
from sagewatch.incident.possible import find_foreign_kinds

if TYPE_CHECKING:
    from sagewatch.incident.routing import Route
    from sagewatch.monitors.reading import Monitors


def list_doubts(monitors: Monitors) -> Iterator[str]:
    """One sentence for each, with the key that it is about."""
    for key, matchers in _list_matchers(monitors):
        for text in find_foreign_kinds(matchers):
            yield f"{key}: {tell_foreign_kind(text)}"


def tell_foreign_kind(text: str) -> str:
    """What a matcher, or a label, that names a foreign kind means."""
    return (
        f"{text} names a kind that nothing of Sagewatch raises (there are {', '.join(KINDS)}); it is only of findings "
        "that you put on the bus yourself."
    )


def _list_matchers(monitors: Monitors) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _list_of_route(monitors.route, "routes")
    for number, rule in enumerate(monitors.inhibitions):
        yield f"inhibit[{number}].when", rule.when
        yield f"inhibit[{number}].mutes", rule.mutes
    for window in monitors.windows:
        yield f"windows.{window.name}.mutes", window.mutes


def _list_of_route(route: Route, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield f"{key}.match", route.match
    for number, step in enumerate(route.escalate or ()):
        yield f"{key}.escalate[{number}].match", step.match
    for number, child in enumerate(route.routes):
        yield from _list_of_route(child, f"{key}.routes[{number}]")
