"""botocore clients with our timeouts, and AWS's error codes sorted into our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 (botocore's name)
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from sagewatch.errors import ConflictError, RetryError

# AWS counted, and did not begin.
_BUSY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "Throttled",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "ResourceInUse",
        "ResourceLimitExceeded",
        "TransactionInProgressException",
        # The role's keys were renewed while the request was under way; the next has the new ones.
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
    }
)
# AWS itself failed, whatever the status says: what was asked for may have been done.
_FAILED = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerErrorException",
        "InternalServiceError",
        "InternalServiceErrorException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
_TOO_MANY = 429
_SERVER_ERRORS = 500
_CONFLICT = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})


CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}, tcp_keepalive=True
)
"""How patient each client is."""

ONCE: Final = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For what people read: botocore's second attempt would hide that the first may have been taken. The outbox repeats."""

HASTY: Final = ONCE.merge(Config(connect_timeout=1, read_timeout=1))
"""For whoever must answer within Slack's three seconds: better a clear no than none in time."""

BRISK: Final = CONFIG.merge(Config(connect_timeout=1, read_timeout=2))
"""For questions behind which others wait (other endpoints: ``deadline.Turns``; whoever may not send while a message is claimed
for a minute): asked again sooner, and no less often."""

BRISK_ONCE: Final = ONCE.merge(Config(connect_timeout=1, read_timeout=3))
"""For writes behind which others wait: over before a turn is (``deadline.TURN_SECONDS``), for a repetition of what was given up
would be written over what others wrote since."""


@cache
def build_client(service: str, patience: Config = CONFIG) -> Any:
    """The one client of a service and patience in this process (making one costs tens of milliseconds)."""
    # Presigned links of the old version are refused for objects under a KMS key.
    config = patience.merge(Config(signature_version="s3v4")) if service == "s3" else patience
    return _open_session().create_client(service, config=config)


@cache
def _open_session() -> Session:
    # botocore's own: boto3 adds resources and transfers that nothing here uses, and a tenth to each cold start.
    return get_session()


def read_code(error: ClientError) -> str:
    """The error's code, such as ``ValidationException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _read_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


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
        if code in _BUSY or reasons or _read_status(error) == _TOO_MANY:
            raise RetryError(code) from error
        if code in _FAILED or _read_status(error) >= _SERVER_ERRORS:
            raise RetryError(code, perhaps_taken=True) from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        # botocore's ConnectionError is of what never got through: no address, no connection, no TLS, no proxy.
        taken = not isinstance(error, ConnectionError)
        raise RetryError(type(error).__name__, perhaps_taken=taken) from error
    except TimeoutError as error:
        # Ours: nobody waited for the rest of the answer.
        raise RetryError("TimeoutError", perhaps_taken=True) from error
    except ResponseParserError as error:
        # Answered, by a proxy perhaps, in no language of AWS.
        raise RetryError("unreadable_answer", perhaps_taken=True) from error
