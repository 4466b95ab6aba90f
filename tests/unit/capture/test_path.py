"""Paths mean what JMESPath says, the quickly walked ones too."""

from __future__ import annotations

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagewatch.capture.path import compile_path
from sagewatch.errors import ConfigurationError

STEPS = st.sampled_from(["a", "b_1", "[0]", "[-1]", "[2]", "[*]"])
VALUES = st.recursive(
    st.none() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b_1"]), inner),
    max_leaves=12,
)


@given(st.lists(STEPS, min_size=1, max_size=4), VALUES)
def test_a_plain_path_finds_what_jmespath_finds(steps: list[str], value: object) -> None:
    path = ".".join(steps).replace(".[", "[")
    assert compile_path(path)(value) == jmespath.search(path, value)


@pytest.mark.parametrize("path", ["a.b | [0]", "keys(@)", "length(@)", "@", "a || b", '"odd key"[0]', "*.a"])
@given(VALUES)
def test_any_other_path_finds_what_jmespath_finds_or_nothing(path: str, value: object) -> None:
    try:
        expected = jmespath.search(path, value)
    except jmespath.exceptions.JMESPathError:
        expected = None
    assert compile_path(path)(value) == expected


@pytest.mark.parametrize("path", ["", "a..b", ".a", "[*", "a b", "[*]b", "a["])
def test_what_jmespath_refuses_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError):
        compile_path(path)


def test_a_number_is_a_column() -> None:
    assert compile_path(1)([["a", "b"], ["c", "d"], ["e"]]) == ["b", "d"]
