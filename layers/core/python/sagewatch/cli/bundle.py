"""An incident's evidence bundle, from S3 into a folder: all of it as the manifest says, or nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sagewatch.errors import RejectedInputError
from sagewatch.evidence.bundle import MANIFEST, find_wrong_files, list_bundled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sagewatch.cli.store import Store

_LOOKS = 3
_WAIT_SECONDS = 2.0


def fetch_bundle(
    incident_id: str, folder: Path, store: Store, wait: Callable[[float], None] = time.sleep
) -> list[str]:
    """Write the bundle into a folder, once all of it is as the manifest says; the names of its files.

    While somebody writes the bundle its files are newer than its manifest: it is looked at again before it is refused.
    What lies beside it in the bucket and is not in the manifest (a job's inputs, or a stranger's file) stays there.

    Parameters
    ----------
    wait
        Lets so many seconds pass between two looks.

    Raises
    ------
    RejectedInputError
        There is no bundle yet, or a file is not what the manifest says, or lies outside the bundle.
    """
    for _ in range(_LOOKS - 1):
        files = _read_bundle(incident_id, store)
        if not find_wrong_files(files):
            break
        wait(_WAIT_SECONDS)
    else:
        files = _read_bundle(incident_id, store)
    if wrong := find_wrong_files(files):
        listed = ", ".join(map(repr, wrong))
        raise RejectedInputError(
            f"not as the manifest says: {listed}; nothing was written", where=f"bundle of {incident_id}"
        )
    for name, body in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return sorted(files)


def _read_bundle(incident_id: str, store: Store) -> dict[str, bytes]:
    prefix = f"incidents/{incident_id}/"
    manifest = store.objects.open_object(store.evidence_bucket, prefix + MANIFEST)
    if manifest is None:
        raise RejectedInputError("has no evidence bundle yet", where=f"incident {incident_id}")
    files = {MANIFEST: manifest.read()}
    for name in list_bundled(files[MANIFEST]):
        stream = store.objects.open_object(store.evidence_bucket, prefix + name)
        if stream is not None:
            files[name] = stream.read()
    return files
