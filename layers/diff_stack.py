"""Every property of two compiled templates held against each other: what the readable summary does not say is said here.

The summary (``summarize_stack``) picks what a person reads. Whatever it does not pick, a disabled rule, a managed policy
of AWS, a queue's encryption, is found by comparing leaf by leaf, so that no change is taken for one of code alone.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from layers.replacements import is_replaced
from layers.resolve_conditions import list_made, settle
from layers.summarize_stack import show, summarize_stack
from layers.template_changes import (
    NOTHING,
    Change,
    Missing,
    Path,
    Swap,
    find_changes,
    is_noise,
    list_leaves,
    put_back,
    put_value,
    spell,
)

_TOKEN = re.compile("⟦([0-9]+)⟧")
_WIDEST = 120
_OWNER = 2  # a path begins with its section and the name in it
_AGAIN = " (replaced: another is made, and this one deleted or left behind)"


def compare_stacks(standing: Mapping[str, Any], template: Mapping[str, Any]) -> list[str]:
    """What would change: lines of the summary that go (-) and come (+), then ``Name: Property: old -> new`` of the rest.

    Returns
    -------
    list of str
        Empty where nothing but code is another.
    """
    old, new = (summarize_stack(one) for one in (standing, template))
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    lines += _tell_conditions(standing, template)
    lines += _tell_parameters(standing, template)
    shown_before, shown_after = find_shown(standing), find_shown(template)
    idle: dict[str, set[str]] = {}
    for changes in _group(find_changes(standing, template)):
        moved = _find_moved(changes)
        # What the summary shows alike in both, of whatever is another, says nothing of it.
        together = summarize_stack(put_back(template, standing, changes[0].path)) != new
        for change in changes:
            if change.path[2:] == ("Type",) and NOTHING in (change.old, change.new):
                continue  # the summary names what goes or comes
            if _is_idle(change.swap, standing, template):
                idle.setdefault(spell(change.swap.at[2:]), set()).add(_name(change.path[:2]))
                continue
            again = is_replaced(change.path, standing, template)
            shown = (change.before is None or change.before in shown_before) and (
                change.after is None or change.after in shown_after
            )
            alike = show(change.old) == show(change.new) or change.swap in moved
            told = shown and together and not again and not alike and _is_seen(change.swap, template, new)
            if not told:
                lines.append(_tell(change, again=again))
    return [*lines, *(_tell_idle(path, names) for path, names in idle.items())]


def _is_idle(swap: Swap, standing: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    """Whether what comes or goes is a condition that the parameters make nothing of: CloudFormation changes nothing for it."""
    if "Fn::If" in swap.at:
        return False  # a branch of one: which it stands in tells
    sides = ((swap.old, standing), (swap.new, template))
    return all(value is Missing or not settle([value], whole) for value, whole in sides)


def _tell_idle(path: str, names: set[str]) -> str:
    whose = f"{len(names)} resources" if len(names) > 1 else "".join(names)
    return f"{path} of {whose}: comes to nothing, as the parameters are"


def _tell_conditions(standing: Mapping[str, Any], template: Mapping[str, Any]) -> list[str]:
    """Resources of both templates that come or go all the same, for a condition is true or false now."""
    before, after = list_made(standing), list_made(template)
    both = standing.get("Resources", {}).keys() & template.get("Resources", {}).keys()
    lines = []
    for name in sorted((before ^ after) & both):
        side, row = (
            ("+", template["Resources"][name]) if name in after else ("-", standing["Resources"][name])
        )
        kept = row.get("DeletionPolicy", "Delete") != "Delete"
        end = "it is made" if side == "+" else "it leaves the stack and stays" if kept else "it is deleted"
        lines.append(
            f"{side}{row['Type']} {name}: {end}, by the condition {row.get('Condition', 'that it had')}"
        )
    return lines


def _tell_parameters(standing: Mapping[str, Any], template: Mapping[str, Any]) -> list[str]:
    """Resources whose properties say the same as before and come to something else, for a parameter or a condition is another."""
    sections = ("Parameters", "Conditions")
    # The new template as the old parameters would have made it: what differs is theirs alone.
    before = {**template, **{one: {**template.get(one, {}), **standing.get(one, {})} for one in sections}}
    made = list_made(standing) & list_made(template)
    lines = []
    for name, row in sorted(template.get("Resources", {}).items()):
        if name not in made:
            continue  # it comes or goes as a whole
        old, new = (
            {"Resources": {name: {**row, "Properties": settle(row.get("Properties", {}), one)}}}
            for one in (before, template)
        )
        paths = [one.path for one in find_changes(old, new)]
        if paths:
            properties = ", ".join(sorted({str(path[3]) for path in paths}))
            again = _AGAIN if any(is_replaced(path, standing, template) for path in paths) else ""
            lines.append(f"{name}: {properties}: another, as the parameters are now{again}")
    return lines


def _find_moved(changes: list[Change]) -> list[Swap]:
    """What went in one place and came in another of the resource, or reads like what came: the summary may hide that."""
    swaps = [change.swap for change in changes]
    gone = {show(one.old) for one in swaps if one.old is not Missing}
    come = {show(one.new) for one in swaps if one.new is not Missing}
    both = gone & come
    return [
        one
        for one in swaps
        if (one.old is not Missing and show(one.old) in both)
        or (one.new is not Missing and show(one.new) in both)
    ]


def _is_seen(swap: Swap, template: Mapping[str, Any], summary: str) -> bool:
    """Whether the summary is another for this alone, whatever else is another beside it."""
    if len(swap.at) <= _OWNER:
        return True  # a whole resource comes or goes
    return summarize_stack(put_value(template, swap.at, swap)) != summary


def list_properties(template: Mapping[str, Any]) -> list[str]:
    """Each resource with a digest of all that it is, and below it every property that the summary does not show."""
    shown = find_shown(template)
    rows: dict[Path, list[tuple[Path, Any]]] = {}
    for path, value in list_leaves(template, ()):
        if not is_noise(path, template):
            rows.setdefault(path[:2], []).append((path, value))
    lines = []
    for owner, leaves in sorted(rows.items()):
        digest = sha256(json.dumps(sorted((json.dumps(p), v) for p, v in leaves), default=str).encode())
        lines.append(f"{_name(owner)}  {digest.hexdigest()[:12]}")
        lines += [f"  {spell(path[2:])} = {_show(value)}" for path, value in leaves if path not in shown]
    return lines


def find_shown(template: Mapping[str, Any]) -> set[Path]:
    """The leaves whose values the summary shows, found by marking each and looking for the marks."""
    paths: list[Path] = []
    marked = _mark(dict(template), (), paths)
    return {paths[int(number)] for number in _TOKEN.findall(summarize_stack(marked))}


def _mark(value: Any, at: Path, paths: list[Path]) -> Any:
    if isinstance(value, dict):
        return {key: _mark(one, (*at, key), paths) for key, one in value.items()}
    if isinstance(value, list):
        return [_mark(one, (*at, number), paths) for number, one in enumerate(value)]
    if _decides_what_is_shown(at):
        return value
    paths.append(at)
    return f"{value}⟦{len(paths) - 1}⟧"


def _decides_what_is_shown(path: Path) -> bool:
    """What the summary looks at to choose a section: it cannot be marked, and counts as not shown."""
    return path[0] == "Resources" and (path[2:] == ("Type",) or path[2:4] == ("Properties", "Roles"))


def _group(changes: Iterator[Change]) -> Iterator[list[Change]]:
    """The changes of each resource together."""
    groups: dict[Path, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.path[:2], []).append(change)
    yield from groups.values()


def _tell(change: Change, *, again: bool) -> str:
    end = _AGAIN if again else ""
    old, new = _cut(change)
    return f"{_name(change.path[:2])}: {spell(change.path[2:])}: {old} -> {new}{end}"


def _cut(change: Change) -> tuple[str, str]:
    """Both values; of long ones what is around the first difference."""
    old, new = (_show(one) for one in (change.old, change.new))
    if max(len(old), len(new)) <= _WIDEST:
        return old, new
    same = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    start = max(0, same - _WIDEST // 3)
    return _window(old, start), _window(new, start)


def _window(text: str, start: int) -> str:
    end = start + _WIDEST
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _name(owner: Path) -> str:
    return str(owner[1]) if owner[0] == "Resources" and len(owner) > 1 else ".".join(map(str, owner))
