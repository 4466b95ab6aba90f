"""Every test has a container of its own."""

from __future__ import annotations

import pytest

from tests.unit.monitor_image.container import Container


@pytest.fixture
def container(tmp_path):
    return Container(tmp_path)
