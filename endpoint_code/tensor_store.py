"""Where recorded steps go: smdebug's writer fills a scratch directory, then a finished step is moved or uploaded.

A reader must never see half a step, and smdebug creates its files in place and talks to S3 through a client without
time limits. So files are published here: the event file first, the index last.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from smdebug.core.collection_manager import CollectionManager
from smdebug.core.modes import ModeKeys
from smdebug.core.writer import FileWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

WRITER: Final = "worker_0"
S3: Final = "s3://"

logging.getLogger("smdebug").setLevel(logging.WARNING)


class Publisher(Protocol):
    """Makes a finished file visible under a key below the worker's prefix."""

    def publish(self, file: Path, key: str) -> None:
        """Take over the file; when this returns, readers see all of it."""


class DirectoryPublisher:
    """Moves files below a directory, each by one rename."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, file: Path, key: str) -> None:
        """Copy beside its place, then rename."""
        place = self._root / key
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.partial")
        shutil.move(file, partial)
        partial.replace(place)


class S3Publisher:
    """Uploads files below `s3://bucket/prefix`; endpoint, region and credentials come from the environment, as always."""

    def __init__(self, bucket: str, prefix: str) -> None:
        # Late, because a directory needs no boto3, and importing it takes half a second.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        limits = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})
        self._client = boto3.client("s3", config=limits)
        self._bucket = bucket
        self._prefix = prefix

    def publish(self, file: Path, key: str) -> None:
        """One PutObject, which S3 makes visible whole."""
        self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{key}", Body=file.read_bytes())
        file.unlink()


class StepStore:
    """Writes steps of one worker process."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._described = False

    def write_step(self, step: int, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one request's tensors; on return they are complete and visible.

        Raises
        ------
        OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            When the place cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="tensors-") as name:
            scratch = Path(name)
            if not self._described:
                collections = CollectionManager()
                collections.set_num_workers(1)
                collections.export(str(scratch), f"{WRITER}_collections.json")
            writer = FileWriter(trial_dir=str(scratch), step=step, worker=WRITER)
            try:
                for tensor_name, value in tensors.items():
                    writer.write_tensor(value, tensor_name, mode=ModeKeys.PREDICT, mode_step=step)
            finally:
                writer.close()
            for room in (
                "collections",
                "events",
                "index",
            ):  # the index last: it says that the step is complete
                for file in sorted(path for path in (scratch / room).rglob("*") if path.is_file()):
                    self._publisher.publish(file, file.relative_to(scratch).as_posix())
        self._described = True


def open_store(output: str, worker: str) -> StepStore:
    """The store of one worker below `s3://bucket/prefix` or a directory."""
    if not output.startswith(S3):
        return StepStore(DirectoryPublisher(Path(output) / worker))
    bucket, _, prefix = output.removeprefix(S3).partition("/")
    return StepStore(S3Publisher(bucket, "/".join(part for part in (prefix.strip("/"), worker) if part)))


def new_worker_name() -> str:
    """A name that no other process, instance or model load has."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
