"""Runs captured requests through the hooked model inside the saliency job: the live endpoint is never touched.

The model's own inference code runs in a process of its own, with the hook on: it needs torch and what else the model's
container has (build the image with `--build-arg REPLAY=1`). What it says while it loads is told; once it is given captured
requests it is not heard any more, for it may say what is in them. In: the archive and `requests.jsonl`, beside it
`environment.json` with the variables that the owner lets it have and `withheld.json` with the names of the others. Out:
`tensors/` as the hook leaves them on an endpoint.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tarfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagewatch.errors import RejectedInputError
from sagewatch.explain.comparison import SUSPICIOUS
from sagewatch.explain.report import KnownRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

DRAIN_SECONDS: Final = 60.0
_LINES_KEPT: Final = 3
_NAMES_KEPT: Final = 12


def replay_requests(archives: Path, requests: Path, folder: Path) -> dict[str, KnownRequest]:
    """Record the tensors of every request below `folder/tensors`; what is known of each, by its body's SHA-256.

    Raises
    ------
    RejectedInputError
        The archive or the requests cannot be read, or the model cannot be run; says what it said.
    """
    model = folder / "model"
    for archive in sorted(archives.glob("*.tar.gz")):
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(model, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise RejectedInputError(f"is no model archive ({error})", where=archive.name) from error
    known = _know_requests(requests)
    # What the job itself needs (PATH, PYTHONPATH, AWS's own) is the job's; of the rest the model finds what it knows.
    given = _read_beside(requests, "environment.json", {})
    environment = {**given, **os.environ}  # noqa: TID251
    done = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, __file__, str(model), str(requests)],
        env={**environment, "TENSORS_OUTPUT": str(folder / "tensors")},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(done.stderr)
    if done.returncode:
        said = " / ".join(done.stderr.strip().splitlines()[-_LINES_KEPT:])
        raise RejectedInputError(
            f"the model cannot be replayed: {said} (exit code {done.returncode}){_tell_withheld(requests)}",
            where=str(requests),
        )
    return known


def read_requests(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each request and its body as it was sent.

    Raises
    ------
    RejectedInputError
        A line is no request.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                yield row, base64.b64decode(row["body"], validate=True)
            except (ValueError, KeyError, TypeError) as error:
                # Its kind alone: a decoder's error may hold the line.
                reason = f"is no request ({type(error).__name__})"
                raise RejectedInputError(reason, where=path.name, line=number) from error


def _know_requests(requests: Path) -> dict[str, KnownRequest]:
    """What is known of each request, by its body's SHA-256; what came before and in the incident is suspicious."""
    known: dict[str, KnownRequest] = {}
    for row, body in read_requests(requests):
        digest = hashlib.sha256(body).hexdigest()
        if digest not in known or row["role"] == SUSPICIOUS:
            known[digest] = KnownRequest(str(row["id"]), str(row["role"]), str(row.get("where", "")))
    return known


def _tell_withheld(requests: Path) -> str:
    """Which variables of its container the model did not get: it may have needed one."""
    names = [str(name) for name in _read_beside(requests, "withheld.json", [])]
    if not names:
        return ""
    shown = ", ".join(names[:_NAMES_KEPT]) + (", ..." if len(names) > _NAMES_KEPT else "")
    return f"; withheld from it were the variables {shown} (diagnosis.environment in monitors.yml lets it have them)"


def _read_beside(requests: Path, name: str, default: Any) -> Any:
    path = requests.with_name(name)
    return json.loads(path.read_bytes()) if path.exists() else default


def main(model: Path, requests: Path) -> int:
    """Answer every request as the endpoint would; a request that the model refuses is named, and the rest go on."""
    sys.path.insert(0, str(model / "code"))
    if not (model / "code" / "inference.py").is_file():
        sys.stderr.write("the model's archive has no code/inference.py\n")
        return 1
    inference = importlib.import_module("inference")
    served = inference.model_fn(str(model))
    recorder = getattr(served, "recorder", None)
    if recorder is None:
        sys.stderr.write("this model has no hook that records tensors\n")
        return 1
    own = _hush()
    for row, body in read_requests(requests):
        try:
            inference.transform_fn(served, body, row["content_type"], "application/json")
            recorder.drain(DRAIN_SECONDS)  # one by one: nothing is dropped here
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the owner's code raises, the next is another one
            own.write(f"request {row['id']}: {_place(error, model)}\n")
    return 0


def _hush() -> TextIO:
    """Let nothing through that the owner's code, or a library below it, says from now on; our own words go here."""
    sys.stdout.flush()
    sys.stderr.flush()
    own = os.fdopen(os.dup(2), "w", buffering=1)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    return own


def _place(error: BaseException, model: Path) -> str:
    """What went wrong and where in the owner's code; an error's text may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((one for one in reversed(frames) if Path(one.filename).is_relative_to(model)), frames[-1])
    return f"{type(error).__name__} in {last.name} ({Path(last.filename).name}:{last.lineno})"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
