"""boto3 clients with our timeouts, and AWS's error codes sorted into our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 (botocore's name)

from sagewatch.errors import ConflictError, RetryError

_BUSY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalServerError",
        "ResourceInUse",
        "ResourceLimitExceeded",
        "TransactionInProgressException",
        "RequestTimeout",
    }
)
_SERVER_ERRORS = 500
_CONFLICT = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})


CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}, tcp_keepalive=True
)
"""How patient each client is."""


@cache
def build_client(service: str) -> Any:
    """The one client of a service in this process (making one costs tens of milliseconds)."""
    # Presigned links of the old version are refused for objects under a KMS key.
    config = CONFIG.merge(Config(signature_version="s3v4")) if service == "s3" else CONFIG
    return boto3.client(service, config=config)


def read_code(error: ClientError) -> str:
    """The error's code, such as ``ValidationException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_server_error(error: ClientError) -> bool:
    """Whether AWS itself failed (5xx): what was asked for may have been done."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= _SERVER_ERRORS


@contextmanager
def sorting_errors() -> Iterator[None]:
    """Turn what can heal into ``RetryError`` and lost races into ``ConflictError``; let the rest through."""
    try:
        yield
    except ClientError as error:
        code = read_code(error)
        reasons = {r.get("Code", "None") for r in error.response.get("CancellationReasons", [])} - {"None"}
        if code in _CONFLICT or "ConditionalCheckFailed" in reasons or "TransactionConflict" in reasons:
            raise ConflictError("item_was_changed") from error
        if code in _BUSY or reasons:
            raise RetryError(code, perhaps_taken=is_server_error(error)) from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        # botocore's ConnectionError is of what never got through: no address, no connection, no TLS, no proxy.
        taken = not isinstance(error, ConnectionError)
        raise RetryError(type(error).__name__, perhaps_taken=taken) from error
