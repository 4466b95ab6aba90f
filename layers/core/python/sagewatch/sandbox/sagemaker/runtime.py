"""InvokeEndpoint: a request into a variant's container, its answer out, both captured."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagewatch.sandbox.moto_server import ACCOUNT_ID
from sagewatch.sandbox.sagemaker.capture import Payload, parse_capture_config
from sagewatch.sandbox.sagemaker.protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagewatch.sandbox.sagemaker.capture_writer import CaptureWriter
    from sagewatch.sandbox.sagemaker.store import EndpointRecord, Store
    from sagewatch.sandbox.sagemaker.variants import ContainerAnswer, HostedVariant

SUCCESS = range(200, 300)
INVOKABLE = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request to an endpoint, as it came."""

    endpoint: str
    body: bytes
    content_type: str | None
    accept: str | None
    inference_id: str | None
    custom_attributes: str | None
    target_variant: str | None


def parse_invocation(endpoint: str, headers: Mapping[str, str], body: bytes) -> Invocation:
    """Read the headers that SageMaker's runtime knows."""
    return Invocation(
        endpoint=endpoint,
        body=body,
        content_type=headers.get("Content-Type"),
        accept=headers.get("Accept"),
        inference_id=headers.get("X-Amzn-SageMaker-Inference-Id"),
        custom_attributes=headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        target_variant=headers.get("X-Amzn-SageMaker-Target-Variant"),
    )


class ModelError(ApiError):
    """The container answered with an error: 424, with what it said."""

    def __init__(self, answer: ContainerAnswer, endpoint: str, variant: str) -> None:
        text = answer.body.decode("utf-8", "replace")
        super().__init__(
            "ModelError",
            f"Received client error ({answer.status}) from {variant} with message {text!r}. "
            f"See the log of {endpoint} for more information.",
            424,
        )
        self.answer = answer
        self.endpoint = endpoint

    def body(self, region: str) -> bytes:
        """The JSON that the runtime API answers."""
        log = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:/aws/sagemaker/Endpoints/{self.endpoint}"
        return json.dumps(
            {
                "Message": self.message,
                "OriginalMessage": self.answer.body.decode("utf-8", "replace"),
                "OriginalStatusCode": self.answer.status,
                "LogStreamArn": log,
            }
        ).encode()


class Runtime:
    """Routes requests to containers.

    Parameters
    ----------
    seed
        Decides which variant a request goes to, by the variants' weights.
    """

    def __init__(self, store: Store, captures: CaptureWriter, seed: int) -> None:
        self._store = store
        self._captures = captures
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def invoke(self, invocation: Invocation) -> tuple[ContainerAnswer, str]:
        """The container's answer and the name of its variant.

        Raises
        ------
        ModelError
            The container answered with an error.
        ApiError
            There is no such endpoint, or it takes no requests.
        """
        record, variant = self._choose(invocation)
        try:
            answer = variant.invoke(invocation.body, invocation.content_type, invocation.accept)
        except OSError:  # replaced by an update while the request was on its way
            record, variant = self._choose(invocation)
            try:
                answer = variant.invoke(invocation.body, invocation.content_type, invocation.accept)
            except OSError as error:
                raise ApiError("ServiceUnavailable", f"{variant.name}: {error}", 503) from error
        self._capture(record, variant.name, invocation, answer)
        if answer.status not in SUCCESS:
            raise ModelError(answer, record.name, variant.name)
        return answer, variant.name

    def _choose(self, invocation: Invocation) -> tuple[EndpointRecord, HostedVariant]:
        with self._store.lock:
            record = self._store.endpoints.get(invocation.endpoint)
            if record is None or record.status not in INVOKABLE or record.fleet is None:
                raise ApiError(
                    "ValidationError", f"Endpoint {invocation.endpoint} of account {ACCOUNT_ID} not found."
                )
            weights = {variant.name: variant.weight for variant in record.variants}
            variants = list(record.fleet.variants)
        if invocation.target_variant is not None:
            variants = [variant for variant in variants if variant.name == invocation.target_variant]
            if not variants:
                raise ApiError("ValidationError", f"Variant {invocation.target_variant} not found.")
        with self._lock:
            chances = [weights.get(variant.name, 1.0) for variant in variants]
            if not any(chances):
                raise ApiError("ValidationError", "No production variant has a weight.")
            return record, self._random.choices(variants, chances)[0]

    def _capture(
        self, record: EndpointRecord, variant: str, invocation: Invocation, answer: ContainerAnswer
    ) -> None:
        settings = parse_capture_config(record.config.get("DataCaptureConfig"))
        if settings is None:
            return
        # A null type marks the answer of a failed request, as AWS's own readers of captures expect it.
        answer_type = answer.content_type if answer.status in SUCCESS else None
        self._captures.add(
            settings,
            record.name,
            variant,
            Payload(invocation.content_type, invocation.body),
            Payload(answer_type, answer.body),
            inference_id=invocation.inference_id,
            custom_attributes=invocation.custom_attributes,
        )
