"""The evidence bundle: which files it holds, and the fingerprint by which each can be checked.

The manifest is itself a file of the bundle; ``sha256sum`` and any JSON reader are enough to verify it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

MANIFEST = "manifest.json"


class BundledFile(msgspec.Struct, frozen=True):
    """One file: where it lies below the bundle's prefix, what it is, and its content's fingerprint."""

    path: str
    media_type: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds, sorted by path: equal contents give equal manifests.

    Attributes
    ----------
    made_at
        ISO 8601, UTC.
    incident_version
        Of the incident as these files show it; 0 where an older version wrote the manifest.
    total_bytes
        Of all files, without the manifest.
    """

    schema: int = 1
    incident_id: str
    made_at: str
    files: tuple[BundledFile, ...]
    total_bytes: int
    incident_version: int = 0


_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
}


def build_manifest(
    incident_id: str,
    made_at: datetime,
    files: Mapping[str, bytes],
    listed: Iterable[BundledFile] = (),
    incident_version: int = 0,
) -> Manifest:
    """The manifest of these files.

    Parameters
    ----------
    files
        Content by path, relative to the bundle, with ``/`` between folders.
    listed
        Files that nobody has in memory, as they were described.
    incident_version
        Which version of the incident they show.

    Raises
    ------
    ValueError
        A path that leaves the bundle, or that is the manifest's own.
    """
    described = [_describe(path, body) for path, body in files.items()]
    bundled = tuple(sorted([*described, *listed], key=lambda one: one.path))
    return Manifest(
        incident_id=incident_id,
        made_at=made_at.isoformat(),
        files=bundled,
        total_bytes=sum(one.size_bytes for one in bundled),
        incident_version=incident_version,
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, for people as much as for programs."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def list_bundled(manifest: bytes) -> list[str]:
    """Paths that a manifest names and that lie within the bundle; none where it cannot be read."""
    try:
        return [
            one.path for one in msgspec.json.decode(manifest, type=Manifest).files if _is_within(one.path)
        ]
    except msgspec.MsgspecError:
        return []


def read_incident_version(manifest: bytes) -> int:
    """Which version of the incident a bundle shows; 0 where its manifest does not say."""
    try:
        return msgspec.json.decode(manifest, type=Manifest).incident_version
    except msgspec.MsgspecError:
        return 0


def find_wrong_files(files: Mapping[str, bytes]) -> list[str]:
    """Paths that the manifest names and that are not there or not as they were, and paths that it does not vouch for.

    A manifest that cannot be read, or that names a path outside the bundle, vouches for nothing of it.
    """
    try:
        manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    except msgspec.MsgspecError:
        return [MANIFEST]
    listed = {one.path: one.sha256 for one in manifest.files}
    return sorted(
        path
        for path in {*files, *listed} - {MANIFEST}
        if path not in files
        or not _is_within(path)
        or hashlib.sha256(files[path]).hexdigest() != listed.get(path)
    )


def find_media_type(path: str) -> str:
    """What a file of the bundle is, by its ending.

    Examples
    --------
    >>> find_media_type("heatmaps/01.png"), find_media_type("captures")
    ('image/png', 'application/octet-stream')
    """
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower(), "application/octet-stream")


def describe_file(path: str, size_bytes: int, sha256: str) -> BundledFile:
    """The entry of a file that is known by its size and its fingerprint alone.

    Raises
    ------
    ValueError
        A path that leaves the bundle, or that is the manifest's own.
    """
    if path == MANIFEST or not _is_within(path):
        raise ValueError(f"not a path within the bundle: {path!r}")
    return BundledFile(path, find_media_type(path), size_bytes, sha256)


def _describe(path: str, content: bytes) -> BundledFile:
    return describe_file(path, len(content), hashlib.sha256(content).hexdigest())


def _is_within(path: str) -> bool:
    """Whether a path stays in the bundle on every system, Windows' separators and drives included."""
    steps = path.split("/")
    return not {"", ".", ".."} & set(steps) and not any(letter in path for letter in ("\\", ":", "\0"))
