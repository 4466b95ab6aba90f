"""Where recorded steps go: a directory or S3, each step's event file first and its index last.

A reader must never see half a step: the index says that the step is complete.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from event_file import collections_file, encode_step, event_key, index_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

S3: Final = "s3://"


class Publisher(Protocol):
    """Makes bytes visible under a key below the worker's prefix."""

    def publish(self, content: bytes, key: str) -> None:
        """When this returns, readers see all of it; before, none."""


class DirectoryPublisher:
    """Writes files below a directory, each made visible by one rename."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, content: bytes, key: str) -> None:
        """Write beside its place, then rename; what cannot be written whole is taken away."""
        place = self._root / key
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.partial")
        try:
            partial.write_bytes(content)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)


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

    def publish(self, content: bytes, key: str) -> None:
        """One PutObject, which S3 makes visible whole."""
        self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{key}", Body=content)


class StepStore:
    """Writes steps of one worker process."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._described = False

    def write_step(self, step: int, tensors: Mapping[str, NDArray[np.generic]]) -> int:
        """Write one request's tensors; on return they are complete and visible.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            When the place cannot be written.
        """
        if not self._described:
            key, content = collections_file()
            self._publisher.publish(content, key)
        events, index = encode_step(step, tensors, time.time())  # noqa: TID251 - the container's edge
        self._publisher.publish(events, event_key(step))
        self._publisher.publish(index, index_key(step))
        self._described = True
        return len(events) + len(index)


def open_store(output: str, worker: str) -> StepStore:
    """The store of one worker below `s3://bucket/prefix` or a directory."""
    if not output.startswith(S3):
        return StepStore(DirectoryPublisher(Path(output) / worker))
    bucket, _, prefix = output.removeprefix(S3).partition("/")
    return StepStore(S3Publisher(bucket, "/".join(part for part in (prefix.strip("/"), worker) if part)))


def new_worker_name() -> str:
    """A name that no other process, instance or model load has."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
