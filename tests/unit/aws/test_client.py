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
        (answer("ThrottlingException", 400), False),
    ],
)
def test_only_what_certainly_was_not_taken_is_taken_for_that(error, perhaps):
    with pytest.raises(RetryError) as failed, sorting_errors():
        raise error
    assert failed.value.perhaps_taken is perhaps
