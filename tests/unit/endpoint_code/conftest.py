"""The endpoint, plain and hooked, loaded once."""

from __future__ import annotations

import numpy as np
import pytest

from tests import endpoint_under_test

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")


@pytest.fixture(scope="session")
def endpoint():
    return endpoint_under_test.load_endpoint()


@pytest.fixture(scope="session")
def plain(endpoint):
    return endpoint_under_test.start(endpoint)


@pytest.fixture(scope="session")
def sign():
    """A drawn stop sign."""
    from sagewatch.sandbox.signs import draw_sign

    return draw_sign(14, np.random.default_rng(0), 64)
