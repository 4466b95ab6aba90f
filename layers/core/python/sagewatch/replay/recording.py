"""What is played: recorded events in the order of their arrival, and captures from a folder laid out as in S3."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sagewatch.capture import parse_key, read_record
from sagewatch.errors import RejectedInputError
from sagewatch.memory.world import MemoryObjects
from sagewatch.moment import read_moment

_TAILS_BYTES = (4 * 1024, 256 * 1024)
Event = dict[str, Any]


def load_events(paths: Iterable[Path]) -> list[Event]:
    """The events of files of JSON lines, in their order.

    Raises
    ------
    RejectedInputError
        A line is no event; names file and line.
    """
    events: list[Event] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        events.append(_read_event(line, path, number))
        except OSError as error:
            raise RejectedInputError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return events


def _read_event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise RejectedInputError("is no UTF-8", where=str(path), line=number) from None
    except (json.JSONDecodeError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deep")
        raise RejectedInputError(f"is no JSON: {reason}", where=str(path), line=number) from None
    texts = ("source", "detail-type")
    if not isinstance(event, dict) or not all(isinstance(event.get(key), str) for key in texts):
        raise RejectedInputError("is no event (source, detail-type)", where=str(path), line=number)
    if not isinstance(event.get("detail"), dict):
        raise RejectedInputError("must be an object", where=str(path), line=number, key="detail")
    return event


def list_landings(folder: Path, bucket: str, prefix: str) -> list[Event]:
    """An ``Object Created`` for each capture file of a folder, at the time of its last record, in that order."""
    events = []
    for path in sorted(folder.rglob("*.jsonl")):
        key = path.relative_to(folder).as_posix()
        try:
            location = parse_key(key, prefix)
        except RejectedInputError:
            continue
        at = find_last_time(path) or location.first_at
        events.append(build_landing(bucket, key, path.stat().st_size, max(at, location.first_at)))
    return sorted(events, key=lambda event: (event["time"], event["detail"]["object"]["key"]))


def build_landing(bucket: str, key: str, size: int, at: datetime) -> Event:
    """The event that a capture object makes; its name stands for its content."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": size, "etag": ""}}
    return {"source": "aws.s3", "detail-type": "Object Created", "time": format_time(at), "detail": detail}


def find_object(event: Event) -> tuple[str, str]:
    """Bucket and key of the object that an event tells of; empty where it tells of none.

    Examples
    --------
    >>> find_object({"detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}})
    ('b', 'k')
    """
    detail = event["detail"]
    bucket, found = detail.get("bucket"), detail.get("object")
    if not isinstance(bucket, dict) or not isinstance(found, dict):
        return "", ""
    return str(bucket.get("name", "")), str(found.get("key", ""))


def find_last_time(path: Path) -> datetime | None:
    """When the last record of a capture file was answered; None where it does not say."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for tail in _TAILS_BYTES:
            file.seek(max(0, size - tail))
            # The time stands at the end of a line: the rest of a long one need not be there.
            times = map(_find_time, reversed(file.read().splitlines()))
            at = next((one for one in times if one is not None), None)
            if at is not None or size <= tail:
                return at
    return None


def _find_time(line: bytes) -> datetime | None:
    mark = line.rfind(b'"inferenceTime"')
    if mark >= 0:
        quoted = line[mark + 15 :].split(b'"')
        if len(quoted) > 1:
            return read_moment(quoted[1].decode("utf-8", "replace"))
    try:
        return read_record(line).inferred_at
    except RejectedInputError:
        return None


def format_time(at: datetime) -> str:
    """A time as events have it, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class FolderObjects(MemoryObjects):
    """S3 in memory, with one bucket that is read from a folder and never written to.

    Parameters
    ----------
    bucket, folder
        The bucket's name and where its objects lie.

    Attributes
    ----------
    absent
        What was asked for and is not there: bucket and key.
    """

    def __init__(self, bucket: str, folder: Path | None) -> None:
        super().__init__()
        self._bucket = bucket
        self._folder = str(folder.resolve()) if folder else None
        self.absent: set[tuple[str, str]] = set()

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the object's bytes, or None."""
        if self._folder is not None and bucket == self._bucket and ".." not in key.split("/"):
            path = f"{self._folder}/{key}"
            if os.path.isfile(path):  # noqa: PTH113 (a Path takes longer to build than the file to read)
                return open(path, "rb")  # noqa: PTH123
        found = super().open_object(bucket, key)
        if found is None:
            self.absent.add((bucket, key))
        return found


def iterate_own(events: Iterable[Event]) -> Iterator[Event]:
    """The facts that Sagewatch itself published while it was recorded: not played, but compared with."""
    return (event for event in events if event.get("source") == "sagewatch")
