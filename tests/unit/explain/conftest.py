"""A small recorded trial: two workers, five requests, answered by the shipped model with the hook on."""

from __future__ import annotations

import pytest

from sagewatch.explain.trial import TrialReader, find_steps
from tests import endpoint_under_test


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """The directory that the hook wrote to."""
    pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
    folder = tmp_path_factory.mktemp("tensors")
    endpoint = endpoint_under_test.load_endpoint()
    endpoint_under_test.record(endpoint, folder, [14, 1, 12])
    endpoint_under_test.record(endpoint, folder, [14, 38], seed=6)
    return folder


@pytest.fixture(scope="session")
def recorded(recording):
    """The recorded steps, read."""
    files = find_steps(recording)
    reader = TrialReader(files)
    return [reader.read(file) for file in files]
