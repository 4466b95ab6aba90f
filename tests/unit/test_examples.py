"""Every example in a docstring gives the answer that stands under it."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import sagewatch

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(sagewatch.__path__, "sagewatch.")
    if ">>>" in (importlib.util.find_spec(module.name).loader.get_source(module.name) or "")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
