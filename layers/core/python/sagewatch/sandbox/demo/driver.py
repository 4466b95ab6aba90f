"""Sends pictures to the endpoint over HTTP, as a car would, and keeps what was answered."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sagewatch.sandbox.local_aws import LocalAws

SENDERS = 2  # the endpoint process has one worker; more would only queue


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """The picture as lossless PNG: what was attacked must arrive as it is."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Driver:
    """One client of the endpoint.

    Attributes
    ----------
    answered
        Predicted class of every request so far, in order of answer.
    """

    aws: LocalAws
    endpoint: str
    answered: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, body: bytes) -> int:
        """Send one picture; the predicted class."""
        runtime: Any = self.aws.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName=self.endpoint, Body=body, ContentType="image/png", Accept="application/json"
        )
        predicted = int(json.loads(answer["Body"].read())[0][0])
        with self._lock:
            self.answered.append(predicted)
        return predicted

    def send_all(self, bodies: Iterable[bytes], progress: Any = None) -> list[int]:
        """Send pictures, a few at a time; the predicted classes in their order."""

        def one(body: bytes) -> int:
            predicted = self.send(body)
            if progress is not None:
                progress.advance()
            return predicted

        with ThreadPoolExecutor(SENDERS) as pool:
            return list(pool.map(one, bodies))
