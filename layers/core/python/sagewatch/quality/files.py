"""Which files hold a data set, and what lies in them where nobody said."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.inference import KIND_STRING, classify_text
from sagewatch.quality.payload import UnreadablePayloadError, decode_text, load_json, parse_csv_text

PARTIAL_SUFFIX: Final = ".sagewatch-profile"
_HOUR = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]+$")
_SNIFFED_BYTES: Final = 1 << 20
_SNIFFED_LINES: Final = 20
_SNIFFED_FILES: Final = 50
_KNOWN: Final = "CSV, JSON, JSON Lines, Parquet and captures"
_STRANGERS: Final = {
    b"\x1f\x8b": "compressed by gzip: unpack it, or mount it with S3CompressionType Gzip",
    b"PK\x03\x04": "a ZIP archive (or a spreadsheet): unpack it, or save it as CSV",
    b"BZh": "compressed by bzip2: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"\xff\xfe": "text in UTF-16 or UTF-32: save it in UTF-8",
    b"\xfe\xff": "text in UTF-16: save it in UTF-8",
    b"\x00\x00\xfe\xff": "text in UTF-32: save it in UTF-8",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
}
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml", b"<error")
_MARK_BYTES: Final = 16
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


def sniff_dataset(files: Sequence[Path]) -> DatasetFormat:
    """What a data set holds, by its files' names and first lines; a file that is empty or none of the formats says nothing.

    Captures, Parquet and JSON tell themselves; what looks like CSV may be anybody's note beside them.

    Raises
    ------
    RejectedInputError
        When no file looks like any of the known formats.
    """
    found: DatasetFormat | None = None
    first: RejectedInputError | None = None
    for path in [path for path in files if path.stat().st_size][:_SNIFFED_FILES]:
        try:
            kind = sniff_format(path)
        except RejectedInputError as error:
            first = first or error
            continue
        if kind.kind is not FileKind.CSV:
            return kind
        found = found or kind
    if found is None and first is not None:
        raise first
    return found or DatasetFormat(FileKind.CSV)


def sniff_format(path: Path) -> DatasetFormat:
    """What a file holds, by its name and its first lines.

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
    for mark, name in _STRANGERS.items():
        if head.startswith(mark):
            raise RejectedInputError(f"{name}; {_KNOWN} are read, in UTF-8", where=str(path))
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith((b"{", b"[")):
        return _sniff_json(text, whole=len(head) < _SNIFFED_BYTES)
    refuse_markup(path, text)
    if head.count(0) > len(head) // 4 or (b"\x00" in head and not _is_text(head)):
        raise RejectedInputError(f"binary; {_KNOWN} are read, in UTF-8", where=str(path))
    return DatasetFormat(FileKind.CSV)


def refuse_markup(path: Path, head: bytes) -> None:
    """Take no page for a table: what looks like one may be what a server said in its place.

    Raises
    ------
    RejectedInputError
        When it is HTML or XML.
    """
    if head[:_MARK_BYTES].lower().startswith(_MARKUP):
        reason = f"a page of HTML or XML, such as an error message; {_KNOWN} are read"
        raise RejectedInputError(reason, where=str(path), line=1)


def _sniff_json(text: bytes, *, whole: bool) -> DatasetFormat:
    """One document, or one a line; a broken first line does not decide."""
    lines = text.split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()  # its end was not read
    lines = [line for line in lines[:_SNIFFED_LINES] if line.strip()]
    if any(b'"captureData"' in line or b'"groundTruthData"' in line for line in lines):
        return DatasetFormat(FileKind.CAPTURE)
    if _is_json(lines[0]):
        return DatasetFormat(FileKind.JSON_LINES)
    if whole and _is_json(text):
        return DatasetFormat(FileKind.JSON)
    good = sum(line.lstrip().startswith((b"{", b"[")) and _is_json(line) for line in lines)
    return DatasetFormat(FileKind.JSON_LINES if 2 * good >= len(lines) > 1 else FileKind.JSON)


def has_header(first_line: str) -> bool:
    """True where no cell of the first row looks like a number: a header, in all likelihood.

    A name may be missing, as pandas leaves it for its index.

    Examples
    --------
    >>> has_header(",age,city"), has_header("1,31,Bern"), has_header(",,")
    (True, False, False)
    """
    row = next(iter(parse_csv_text(first_line)), [])
    names = [value for _, value in row if value is not None]
    return bool(names) and all(classify_text(value) == KIND_STRING for value in names)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "_SUCCESS")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _is_json(text: bytes) -> bool:
    try:
        load_json(decode_text(text))
    except UnreadablePayloadError:
        return False
    return True


def _is_text(head: bytes) -> bool:
    """True for UTF-8; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
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
