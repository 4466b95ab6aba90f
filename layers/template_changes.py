"""Every leaf of two compiled templates that is another, with what has to be put back for it to be as it was."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

Path = tuple[str | int, ...]
NOTHING: Final = "nothing"
NOISE: Final = (
    "AWS::Lambda::Function *.Code.S3Key",
    "AWS::Lambda::LayerVersion *.Content.S3Key",
    "Outputs *LambdaLayerHash.Value",
    "Outputs *LambdaLayerS3Key.Value",
)
"""What is another with every build and means "code" alone: section or type, name and property (a test pins the list)."""
_OWNER = 2  # a path begins with its section and the name in it


class Missing:
    """What is not there."""


class Swap(msgspec.Struct, frozen=True):
    """One value in place of another at a place of the new template; ``Missing`` where there is none."""

    at: Path
    old: Any
    new: Any


class Change(msgspec.Struct, frozen=True):
    """One leaf that is another: where it was and is, and its values; ``None`` in place of a path where it is not.

    Attributes
    ----------
    swap
        The value of which it is a leaf: what has to be put back for it to be as it was.
    """

    before: Path | None
    after: Path | None
    old: Any
    new: Any
    swap: Swap

    @property
    def path(self) -> Path:
        """Where it is, or was."""
        return self.after or self.before or ()


def find_changes(before: Any, after: Any, at: Path = (), now: Path = ()) -> Iterator[Change]:
    """Every leaf that is another, went or came; noise left out where whole templates are compared."""
    root = (before, after)
    for change in _walk(before, after, at, now):
        noisy = any(
            path is not None and is_noise(path, one)
            for path, one in zip((change.before, change.after), root, strict=True)
        )
        if not noisy:
            yield change


def is_noise(path: Path, template: Mapping[str, Any]) -> bool:
    """Whether a property is another with every build."""
    if len(path) <= _OWNER:
        return False
    section = str(path[0])
    kind = template[section][path[1]].get("Type", "") if section == "Resources" else section
    return any(fnmatchcase(f"{kind} {path[1]}.{spell(path[2:])}", one) for one in NOISE)


def _walk(before: Any, after: Any, at: Path, now: Path) -> Iterator[Change]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and before and after:
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key, Missing), after.get(key, Missing)
            yield from _walk(old, new, (*at, key), (*now, key))
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _walk_lists(before, after, at, now)
    elif json.dumps(before, sort_keys=True, default=str) != json.dumps(after, sort_keys=True, default=str):
        composite = isinstance(before, dict | list) or isinstance(after, dict | list)
        swap = Swap(now, before, after)
        if not composite and before is not Missing and after is not Missing:
            yield Change(at, now, before, after, swap)
            return
        if before is not Missing:
            yield from (Change(path, None, value, NOTHING, swap) for path, value in list_leaves(before, at))
        if after is not Missing:
            yield from (Change(None, path, NOTHING, value, swap) for path, value in list_leaves(after, now))


def _walk_lists(before: list[Any], after: list[Any], at: Path, now: Path) -> Iterator[Change]:
    """Alike elements are paired first, so that one that comes in between does not change all behind it."""
    old_keys, new_keys = ([json.dumps(one, sort_keys=True) for one in side] for side in (before, after))
    for _, a, b, c, d in difflib.SequenceMatcher(None, old_keys, new_keys, autojunk=False).get_opcodes():
        for n in range(max(b - a, d - c)):
            old = before[a + n] if a + n < b else Missing
            new = after[c + n] if c + n < d else Missing
            yield from _walk(old, new, (*at, a + n), (*now, c + n if new is not Missing else d))


def list_leaves(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    """Every scalar and every empty list or mapping below a value, with its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict | list) and value:
        for key, one in inner:
            yield from list_leaves(one, (*at, key))
    else:
        yield at, value


def put_value(value: Any, path: Path, swap: Swap) -> Any:
    """The value with the old one at that path; only the way to it is copied."""
    changed = dict(value) if isinstance(value, dict) else list(value)
    key: Any = path[0]
    if len(path) > 1:
        changed[key] = put_value(changed[key], path[1:], swap)
    elif swap.old is Missing:
        del changed[key]
    elif swap.new is Missing and isinstance(changed, list):
        changed.insert(key, swap.old)
    else:
        changed[key] = swap.old
    return changed


def put_back(template: Mapping[str, Any], standing: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The template with one resource, parameter or output as it stands; a section without names whole."""
    mixed = dict(template)
    section = path[0]
    if len(path) < _OWNER:
        return mixed
    mixed[str(section)] = dict(template.get(str(section), {}))
    if path[1] in standing.get(str(section), {}):
        mixed[str(section)][path[1]] = standing[str(section)][path[1]]
    else:
        mixed[str(section)].pop(path[1], None)
    return mixed


def spell(path: Path) -> str:
    """A path below a resource's name as people write it: ``Policies.0.PolicyName``."""
    return ".".join(
        str(part) for part in (path[1:] if path[:1] == ("Properties",) and len(path) > 1 else path)
    )
