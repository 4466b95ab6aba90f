"""An incident's evidence bundle, from S3 into a folder: all of it as the manifest says, or nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sagewatch.cli.terminal import say
from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.errors import RejectedInputError, SagewatchError
from sagewatch.evidence.bundle import MANIFEST, find_wrong_files, list_bundled
from sagewatch.flows.evidence import build_configs_key
from sagewatch.flows.recorded_requests import build_links_key
from sagewatch.incident.page_turn import WRITER_LASTS, is_left_open, is_worth_waking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sagewatch.cli.store import Store

WAIT_SECONDS: Final = 2.0
LONGEST_WAIT: Final = 2 * WRITER_LASTS
"""One writer that was cut short, and the one that writes after it."""


class BundleUnfinishedError(SagewatchError):
    """A bundle is not as its manifest says because somebody writes it, or was cut short: that is no forgery."""


def fetch_bundle(
    incident_id: str, folder: Path, store: Store, wait: Callable[[float], None] = time.sleep
) -> list[str]:
    """Write the bundle into a folder, once all of it is as the manifest says; the names of its files.

    What lies beside it in the bucket and is not in the manifest (a job's inputs, or a stranger's file) stays there.

    Parameters
    ----------
    wait
        Lets so many seconds pass between two looks.

    Raises
    ------
    RejectedInputError
        There is no bundle yet, or a file is not what the manifest says, or lies outside the bundle.
    BundleUnfinishedError
        It is written anew again and again, whoever wrote it was cut short, or a diagnosis writes into it: nothing can be
        said of it yet.
    """
    files = _read_whole(incident_id, store, wait)
    for name, body in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return sorted(files)


def _read_whole(incident_id: str, store: Store, wait: Callable[[float], None]) -> dict[str, bytes]:
    """The bundle as its manifest says; digests alone decide, however long somebody takes to write it.

    While it is written its files are newer than its manifest: the page's turn says whether somebody was at it.
    """
    waited = timedelta(0)
    while True:
        before = store.state.load_turn(incident_id)
        files = _read_bundle(incident_id, store)
        wrong = find_wrong_files(files)
        if not wrong:
            return files
        turn, now = store.state.load_turn(incident_id), store.now()
        if turn == before and not turn.writers and not turn.crossed:
            raise _say_what_is_wrong(incident_id, wrong, store)
        left_open = is_left_open(turn, now)
        if waited >= LONGEST_WAIT or (left_open and not is_worth_waking(turn, now)):
            why = "whoever wrote it was cut short" if left_open else "it is written anew again and again"
            if turn.broken:
                why += f", {turn.broken} times before too (the log of deliver_alert says by what)"
            raise BundleUnfinishedError(
                f"bundle of {incident_id}: {why}, and its files are not yet as its manifest says; nothing was written. "
                "Try again in some minutes"
            )
        if not waited:
            say(f"The bundle of {incident_id} is just being written: waiting for its manifest.", err=True)
        wait(WAIT_SECONDS)
        waited += timedelta(seconds=WAIT_SECONDS)


def _say_what_is_wrong(incident_id: str, wrong: Sequence[str], store: Store) -> SagewatchError:
    """Of a bundle that nobody is at: its manifest is of before the diagnosis that writes into it, or it is forged."""
    listed = ", ".join(map(repr, wrong))
    if _is_diagnosed(incident_id, wrong, store):
        return BundleUnfinishedError(
            f"bundle of {incident_id}: another diagnosis writes into it ({listed}), and its end brings the manifest; nothing "
            "was written. Try again once it is over"
        )
    return RejectedInputError(
        f"not as the manifest says: {listed}; nothing was written", where=f"bundle of {incident_id}"
    )


def _is_diagnosed(incident_id: str, wrong: Sequence[str], store: Store) -> bool:
    """Whether a diagnosis whose end was not told yet writes all of these files: configurations, heat maps, requests."""
    diagnosis = store.state.load_diagnosis_of(incident_id)
    written = (
        build_explain_prefix(incident_id),
        build_configs_key(incident_id),
        build_links_key(incident_id),
    )
    paths = [f"incidents/{incident_id}/{path}" for path in wrong]
    return diagnosis is not None and not diagnosis.told and all(path.startswith(written) for path in paths)


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
