"""Which files hold a data set, and what lies in them where nobody said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.inference import KIND_STRING, classify_text
from sagewatch.quality.payload import parse_csv_text

PARTIAL_SUFFIX: Final = ".sagewatch-profile"
_HOUR = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]+$")
_SNIFFED_BYTES: Final = 1 << 20
_LARGEST_MANIFEST: Final = 16 << 20


class NoDataError(RejectedInputError):
    """There is nothing to analyze: no file, or only empty ones."""


def find_files(source: Path) -> list[Path]:
    """All files of a data set, in order of their paths; manifests stand for the files that they name.

    Raises
    ------
    NoDataError
        When there is none.
    RejectedInputError
        When a manifest names data that is not here.
    """
    if not source.exists():
        raise NoDataError("no such file or directory", where=str(source))
    found = [source] if source.is_file() else sorted(_walk(source))
    files: dict[Path, None] = {}
    for path in found:
        named = _read_manifest(path)
        files.update(dict.fromkeys([path] if named is None else _resolve(path, named, found)))
    if not any(path.stat().st_size for path in files):
        raise NoDataError("no data: there is no file that is not empty", where=str(source))
    return list(files)


def read_hour(path: Path) -> datetime | None:
    """The hour that a capture's path tells, ``.../yyyy/mm/dd/hh/name``; None where it tells none."""
    match = _HOUR.search(path.as_posix())
    if match is None:
        return None
    try:
        return datetime(*(int(part) for part in match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def sniff_format(path: Path) -> DatasetFormat:
    """What a file holds, by its name and its first line.

    Raises
    ------
    RejectedInputError
        When it looks like none of the known formats.
    """
    if path.name.endswith(PARTIAL_SUFFIX):
        return DatasetFormat(FileKind.PARTIAL)
    with path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    if path.suffix == ".parquet" or head.startswith(b"PAR1"):
        return DatasetFormat(FileKind.PARQUET)
    first = head.lstrip().split(b"\n", 1)[0]
    if first.startswith((b"{", b"[")):
        if b'"captureData"' in first or b'"groundTruthData"' in first:
            return DatasetFormat(FileKind.CAPTURE)
        return DatasetFormat(FileKind.JSON_LINES if _is_json(first) else FileKind.JSON)
    if b"\x00" in head:
        raise RejectedInputError("not CSV, JSON Lines, Parquet or captures", where=str(path))
    return DatasetFormat(FileKind.CSV)


def has_header(first_line: str) -> bool:
    """True where no cell of the first row looks like a number: a header, in all likelihood."""
    row = next(iter(parse_csv_text(first_line)), [])
    return all(value is not None and classify_text(value) == KIND_STRING for _, value in row)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "_SUCCESS")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_manifest(path: Path) -> list[str] | None:
    """The names in a manifest, ``[{"prefix": "s3://..."}, "name", ...]``; None for another file."""
    if path.stat().st_size > _LARGEST_MANIFEST:
        return None
    with path.open("rb") as file:
        head = file.read(512).lstrip()
        if not head.startswith(b"[") or b'"prefix"' not in head:
            return None
        file.seek(0)
        content = file.read()
    try:
        given: Any = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, list) or not given or not isinstance(given[0], dict) or "prefix" not in given[0]:
        return None
    prefix = str(given[0]["prefix"])
    # One object alone stands whole in the prefix, and its name is empty.
    return [str(name).strip("/") or prefix.rsplit("/", 1)[-1] for name in given[1:]]


def _resolve(manifest: Path, names: list[str], files: list[Path]) -> list[Path]:
    here: list[Path] = []
    for name in names:
        matches = [path for path in files if path != manifest and path.as_posix().endswith("/" + name)]
        if not matches:
            reason = (
                f"the manifest names {name!r}, which is not here: mount the data with S3DataType ManifestFile"
            )
            raise RejectedInputError(reason, where=str(manifest))
        here += matches
    return here
