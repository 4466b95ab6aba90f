"""Every property of two compiled templates held against each other: what the readable summary does not say is said here.

The summary (``summarize_stack``) picks what a person reads. Whatever it does not pick, a disabled rule, a managed policy
of AWS, a queue's encryption, is found by comparing leaf by leaf, so that no change is taken for one of code alone.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final

import msgspec

from layers.resolve_conditions import list_made
from layers.summarize_stack import show, summarize_stack

Path = tuple[str | int, ...]
NOTHING: Final = "nothing"
NOISE: Final = (
    "AWS::Lambda::Function *.Code.S3Key",
    "AWS::Lambda::LayerVersion *.Content.S3Key",
    "Outputs *LambdaLayerHash.Value",
    "Outputs *LambdaLayerS3Key.Value",
)
"""What is another with every build and means "code" alone: section or type, name and property (a test pins the list)."""
REPLACES: Final = {
    "AWS::CloudWatch::Alarm": {"AlarmName"},
    "AWS::CloudWatch::CompositeAlarm": {"AlarmName"},
    "AWS::DynamoDB::Table": {"TableName", "KeySchema"},
    "AWS::Events::Archive": {"ArchiveName", "SourceArn"},
    "AWS::Events::EventBus": {"Name"},
    "AWS::Events::Rule": {"Name", "EventBusName"},
    "AWS::IAM::ManagedPolicy": {"ManagedPolicyName", "Path"},
    "AWS::IAM::Role": {"RoleName", "Path"},
    "AWS::Lambda::EventSourceMapping": {"EventSourceArn"},
    "AWS::Lambda::Function": {"FunctionName", "PackageType"},
    "AWS::Logs::LogGroup": {"LogGroupName"},
    "AWS::S3::Bucket": {"BucketName"},
    "AWS::SNS::Subscription": {"Endpoint", "Protocol", "TopicArn"},
    "AWS::SNS::Topic": {"TopicName", "FifoTopic"},
    "AWS::SQS::Queue": {"QueueName", "FifoQueue"},
    "AWS::Scheduler::Schedule": {"Name"},
    "AWS::Scheduler::ScheduleGroup": {"Name"},
}
"""Properties of which CloudFormation changes none: it makes another resource and deletes the old one with what is in it."""
_TOKEN = re.compile("⟦([0-9]+)⟧")
_WIDEST = 120
_OWNER = 2  # a path begins with its section and the name in it
_PROPERTY = 3


class _Missing:
    """What is not there."""


class Swap(msgspec.Struct, frozen=True):
    """One value in place of another at a place of the new template; ``_Missing`` where there is none."""

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
    shown_before, shown_after = find_shown(standing), find_shown(template)
    for changes in _group(find_changes(standing, template)):
        moved = _find_moved(changes)
        # What the summary shows alike in both, of whatever is another, says nothing of it.
        together = summarize_stack(_put_back(template, standing, changes[0].path)) != new
        for change in changes:
            if change.path[2:] == ("Type",) and NOTHING in (change.old, change.new):
                continue  # the summary names what goes or comes
            again = _is_replaced(change, standing, template)
            shown = (change.before is None or change.before in shown_before) and (
                change.after is None or change.after in shown_after
            )
            alike = show(change.old) == show(change.new) or change.swap in moved
            told = shown and together and not again and not alike and _is_seen(change.swap, template, new)
            if not told:
                lines.append(_tell(change, again=again))
    return lines


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


def _find_moved(changes: list[Change]) -> list[Swap]:
    """What went in one place and came in another of the resource, or reads like what came: the summary may hide that."""
    swaps = [change.swap for change in changes]
    gone = {show(one.old) for one in swaps if one.old is not _Missing}
    come = {show(one.new) for one in swaps if one.new is not _Missing}
    both = gone & come
    return [
        one
        for one in swaps
        if (one.old is not _Missing and show(one.old) in both)
        or (one.new is not _Missing and show(one.new) in both)
    ]


def _is_seen(swap: Swap, template: Mapping[str, Any], summary: str) -> bool:
    """Whether the summary is another for this alone, whatever else is another beside it."""
    if len(swap.at) <= _OWNER:
        return True  # a whole resource comes or goes
    return summarize_stack(_put(template, swap.at, swap)) != summary


def _put(value: Any, path: Path, swap: Swap) -> Any:
    """The value with the old one at that path; only the way to it is copied."""
    changed = dict(value) if isinstance(value, dict) else list(value)
    key: Any = path[0]
    if len(path) > 1:
        changed[key] = _put(changed[key], path[1:], swap)
    elif swap.old is _Missing:
        del changed[key]
    elif swap.new is _Missing and isinstance(changed, list):
        changed.insert(key, swap.old)
    else:
        changed[key] = swap.old
    return changed


def list_properties(template: Mapping[str, Any]) -> list[str]:
    """Each resource with a digest of all that it is, and below it every property that the summary does not show."""
    shown = find_shown(template)
    rows: dict[Path, list[tuple[Path, Any]]] = {}
    for path, value in _list_leaves(template, ()):
        if not is_noise(path, template):
            rows.setdefault(path[:2], []).append((path, value))
    lines = []
    for owner, leaves in sorted(rows.items()):
        digest = sha256(json.dumps(sorted((json.dumps(p), v) for p, v in leaves), default=str).encode())
        lines.append(f"{_name(owner)}  {digest.hexdigest()[:12]}")
        lines += [f"  {_spell(path[2:])} = {_show(value)}" for path, value in leaves if path not in shown]
    return lines


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
    return any(fnmatchcase(f"{kind} {path[1]}.{_spell(path[2:])}", one) for one in NOISE)


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


def _walk(before: Any, after: Any, at: Path, now: Path) -> Iterator[Change]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and before and after:
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key, _Missing), after.get(key, _Missing)
            yield from _walk(old, new, (*at, key), (*now, key))
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _walk_lists(before, after, at, now)
    elif json.dumps(before, sort_keys=True, default=str) != json.dumps(after, sort_keys=True, default=str):
        composite = isinstance(before, dict | list) or isinstance(after, dict | list)
        swap = Swap(now, before, after)
        if not composite and before is not _Missing and after is not _Missing:
            yield Change(at, now, before, after, swap)
            return
        if before is not _Missing:
            yield from (Change(path, None, value, NOTHING, swap) for path, value in _list_leaves(before, at))
        if after is not _Missing:
            yield from (Change(None, path, NOTHING, value, swap) for path, value in _list_leaves(after, now))


def _walk_lists(before: list[Any], after: list[Any], at: Path, now: Path) -> Iterator[Change]:
    """Alike elements are paired first, so that one that comes in between does not change all behind it."""
    old_keys, new_keys = ([json.dumps(one, sort_keys=True) for one in side] for side in (before, after))
    for _, a, b, c, d in difflib.SequenceMatcher(None, old_keys, new_keys, autojunk=False).get_opcodes():
        for n in range(max(b - a, d - c)):
            old = before[a + n] if a + n < b else _Missing
            new = after[c + n] if c + n < d else _Missing
            yield from _walk(old, new, (*at, a + n), (*now, c + n if new is not _Missing else d))


def _list_leaves(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict | list) and value:
        for key, one in inner:
            yield from _list_leaves(one, (*at, key))
    else:
        yield at, value


def _group(changes: Iterator[Change]) -> Iterator[list[Change]]:
    """The changes of each resource together."""
    groups: dict[Path, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.path[:2], []).append(change)
    yield from groups.values()


def _put_back(template: Mapping[str, Any], standing: Mapping[str, Any], path: Path) -> dict[str, Any]:
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


def _is_replaced(change: Change, standing: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    path = change.path
    if path[0] != "Resources":
        return False
    rows = [one.get("Resources", {}).get(path[1]) for one in (standing, template)]
    if None in rows:
        return False  # it goes or comes as a whole
    if path[2:] == ("Type",):
        return True
    return (
        len(path) > _PROPERTY
        and path[2] == "Properties"
        and path[_PROPERTY] in REPLACES.get(rows[1]["Type"], ())
    )


def _tell(change: Change, *, again: bool) -> str:
    end = " (replaced: another is made, and this one deleted or left behind)" if again else ""
    old, new = _cut(change)
    return f"{_name(change.path[:2])}: {_spell(change.path[2:])}: {old} -> {new}{end}"


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


def _spell(path: Path) -> str:
    return ".".join(
        str(part) for part in (path[1:] if path[:1] == ("Properties",) and len(path) > 1 else path)
    )
