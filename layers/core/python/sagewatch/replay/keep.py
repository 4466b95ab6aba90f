"""A recording as it is kept and moved: events in one order, the scene beside them, names of another stack put in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.events.parse import parse_time
from sagewatch.replay.recording import Event, find_object
from sagewatch.replay.sagemaker import find_subject
from sagewatch.replay.scene import SCENE_FILE, Scene, load_scene
from sagewatch.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SAME = ("account", "region", "capture_bucket", "capture_prefix", "evidence_bucket")


def order_events(events: Iterable[Event]) -> list[Event]:
    """Events by time, without the mark of the replay that read them out of an archive.

    EventBridge tells whole seconds. Within one, captures come first, in the order of their names, which begin with the
    time; then what SageMaker says, by the millisecond of its own and a step before the end that it leads to.
    """
    kept = [{key: value for key, value in event.items() if key != "replay-name"} for event in events]
    return sorted(kept, key=_find_place)


def _find_place(event: Event) -> tuple[datetime, datetime, bool, str, str]:
    said = _read_time(event.get("time"), _EPOCH)
    detail = event.get("detail")
    own = _read_time(detail.get("LastModifiedTime"), said) if isinstance(detail, dict) else said
    within = own if said <= own < said + _SECOND else said
    ends = isinstance(detail, dict) and find_subject(event) is not None
    name = find_object(event)[1] if isinstance(detail, dict) else ""
    return said, within, ends, name, json.dumps(event, sort_keys=True)


def _read_time(value: object, default: datetime) -> datetime:
    try:
        return parse_time(value, where="event", key="time")
    except RejectedInputError:
        return default


def build_scene(settings: Settings, account: str) -> Scene:
    """The scene of a recording of this stack; monitors.yml and captures are looked for beside it."""
    return Scene(
        account=account,
        region=settings.region,
        capture_bucket=settings.capture_bucket,
        capture_prefix=settings.capture_prefix,
        evidence_bucket=settings.evidence_bucket,
    )


def check_place(out: Path, scene: Scene) -> None:
    """Whether events of this scene can be kept in a file there; leaves the folder ready.

    Raises
    ------
    ConfigurationError
        It cannot be written, or the recording of another stack lies there already.
    """
    check_writable(out)
    path = out.parent / SCENE_FILE
    if path.is_file() and not _are_one(load_scene(path), scene):
        raise ConfigurationError(
            "is the scene of another recording; give --out a folder of its own", where=str(path)
        )


def check_writable(out: Path) -> None:
    """Whether a file can be written, before the work whose result it is to hold; makes its folder.

    Raises
    ------
    ConfigurationError
        It cannot; says why.
    """
    was_there = out.exists()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("ab"):
            pass
        if not was_there:
            out.unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", where=str(out)) from None


def write_recording(out: Path, events: Iterable[Event], scene: Scene) -> Path:
    """Write the events, one a line, and their scene beside them; a scene that says more is left. The scene's path."""
    out.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    path = out.parent / SCENE_FILE
    if not path.is_file():
        path.write_bytes(msgspec.json.format(msgspec.json.encode(scene), indent=2) + b"\n")
    return path


def move_event(event: Event, scene: Scene, settings: Settings, account: str) -> Event:
    """The event of a recording as another stack would have got it: with its buckets and its account.

    Examples
    --------
    >>> event = {"account": "1", "detail": {"bucket": {"name": "old"}}}
    >>> settings = Settings(region="r", state_table="t", event_bus="b", evidence_bucket="e",
    ...                     capture_bucket="new", capture_prefix="p", monitors_file="")
    >>> move_event(event, Scene(account="1", capture_bucket="old"), settings, "2")
    {'account': '2', 'detail': {'bucket': {'name': 'new'}}}
    """
    buckets = {
        scene.capture_bucket: settings.capture_bucket,
        scene.evidence_bucket: settings.evidence_bucket,
    }
    detail = event["detail"]
    bucket = detail.get("bucket")
    text = json.dumps(event)
    moved: Event = json.loads(text.replace(scene.account, account) if scene.account and account else text)
    if isinstance(bucket, dict) and bucket.get("name") in buckets:
        moved["detail"]["bucket"]["name"] = buckets[bucket["name"]]
    return moved


def _are_one(first: Scene, second: Scene) -> bool:
    return all(getattr(first, name) == getattr(second, name) for name in _SAME)
