"""What SageMaker's answers mean: which no may become a yes by waiting, and which only by asking otherwise."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from sagewatch.aws.client import build_client
from sagewatch.aws.sagemaker import SageMakerHosting
from sagewatch.errors import DeclinedError, RefusedError, RetryError


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ValidationException", DeclinedError),
        ("ResourceLimitExceeded", DeclinedError),
        ("ThrottlingException", RetryError),
        ("AccessDeniedException", RefusedError),
    ],
)
def test_a_move_that_is_declined_is_told_apart_from_one_that_comes_too_soon(monkeypatch, code, raised):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    build_client.cache_clear()
    hosting = SageMakerHosting()
    with Stubber(hosting._client) as stub:
        for _ in range(3):  # what is throttled is asked for again by the SDK
            stub.add_client_error("update_endpoint", code)
        with pytest.raises(raised) as caught:
            hosting.update_endpoint("signs", "signs-config", {})
    build_client.cache_clear()
    assert type(caught.value) is raised
