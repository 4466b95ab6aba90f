"""What AWS did not answer may have been done; what never reached it was not."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from sagewatch.aws.client import sorting_errors
from sagewatch.errors import RetryError


def answer(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Publish")


@pytest.mark.parametrize(
    ("error", "perhaps"),
    [
        (ReadTimeoutError(endpoint_url="https://x"), True),
        (ConnectionClosedError(endpoint_url="https://x"), True),
        (answer("InternalFailure", 500), True),
        (answer("ServiceUnavailable", 503), True),
        (ConnectTimeoutError(endpoint_url="https://x"), False),
        (EndpointConnectionError(endpoint_url="https://x"), False),
        (answer("InternalError", 500), True),
        (answer("InternalError", 0), True),  # a code without its status
        (answer("502", 502), True),  # a gateway's page has no code
        (answer("504", 504), True),
        (answer("ThrottlingException", 400), False),
        (answer("Throttled", 429), False),
        (answer("SlowDown", 503), False),
        (answer("KMSThrottling", 400), False),
        (answer("SomethingNew", 429), False),
        (answer("ExpiredToken", 403), False),
    ],
)
def test_only_what_certainly_was_not_taken_is_taken_for_that(error, perhaps):
    with pytest.raises(RetryError) as failed, sorting_errors():
        raise error
    assert failed.value.perhaps_taken is perhaps


@pytest.mark.parametrize("code", ["AuthorizationError", "NotFound", "InvalidParameter", "KMSDisabled"])
def test_what_cannot_heal_is_let_through(code):
    with pytest.raises(ClientError), sorting_errors():
        raise answer(code, 400)
