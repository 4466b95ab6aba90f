"""Collects capture lines of each variant and writes them to S3, every so many records or seconds."""

from __future__ import annotations

import logging
import random
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.capture import CaptureSettings, Payload, build_key, build_line

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Buffer:
    """Lines that are not written yet; `first` is the time of the first of them."""

    settings: CaptureSettings
    first: datetime
    lines: list[str] = field(default_factory=list)


class CaptureWriter:
    """Writes data capture.

    Parameters
    ----------
    s3
        A boto3 client.
    flush_records, flush_seconds
        A file is written when it holds so many records, or its first record is so old.
    seed
        Decides which requests are sampled.
    now
        The clock, UTC.
    """

    def __init__(
        self,
        s3: Any,
        *,
        flush_records: int,
        flush_seconds: float,
        seed: int,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._s3 = s3
        self._flush_records = flush_records
        self._flush_seconds = flush_seconds
        self._random = random.Random(seed)
        self._now = now or (lambda: datetime.now(tz=UTC))  # noqa: TID251  an edge
        self._buffers: dict[tuple[str, str], Buffer] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flush_old, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to look for files that are due."""
        self._thread.start()

    def add(
        self,
        settings: CaptureSettings,
        endpoint: str,
        variant: str,
        request: Payload,
        answer: Payload,
        *,
        inference_id: str | None,
        custom_attributes: str | None,
    ) -> None:
        """Take one answered request, if it is in the sample."""
        moment = self._now()
        due: list[Buffer] = []
        key = endpoint, variant
        with self._lock:
            if self._random.random() * 100 >= settings.sampling_percent:
                return
            line = build_line(
                settings,
                request,
                answer,
                event_id=uuid.uuid4(),  # noqa: TID251  an edge
                moment=moment,
                inference_id=inference_id,
                custom_attributes=custom_attributes,
            )
            if key in self._buffers and self._buffers[key].settings != settings:
                due.append(self._buffers.pop(key))  # the config was replaced: another place or encoding
            buffer = self._buffers.setdefault(key, Buffer(settings, moment))
            buffer.lines.append(line)
            if len(buffer.lines) >= self._flush_records:
                due.append(self._buffers.pop(key))
        for buffer in due:
            self._write(endpoint, variant, buffer)

    def flush(self, endpoint: str | None = None) -> None:
        """Write everything that is held, of one endpoint or of all."""
        with self._lock:
            due = {key: item for key, item in self._buffers.items() if endpoint in {None, key[0]}}
            for key in due:
                del self._buffers[key]
        for (name, variant), buffer in due.items():
            self._write(name, variant, buffer)

    def stop(self) -> None:
        """Write what is held and end."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _flush_old(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            now = self._now()
            with self._lock:
                due = {
                    key: item
                    for key, item in self._buffers.items()
                    if (now - item.first).total_seconds() >= self._flush_seconds
                }
                for key in due:
                    del self._buffers[key]
            for (endpoint, variant), buffer in due.items():
                self._write(endpoint, variant, buffer)

    def _write(self, endpoint: str, variant: str, buffer: Buffer) -> None:
        file_id = uuid.uuid4()  # noqa: TID251  an edge
        key = build_key(buffer.settings, endpoint, variant, buffer.first, file_id)
        body = "".join(buffer.lines).encode()
        self._s3.put_object(Bucket=buffer.settings.bucket, Key=key, Body=body)
        LOG.info("capture_written s3://%s/%s records=%d", buffer.settings.bucket, key, len(buffer.lines))
