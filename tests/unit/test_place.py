"""What an endpoint is called here, by its place."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagewatch import place
from sagewatch.errors import ConfigurationError
from sagewatch.monitors import parse_monitors
from sagewatch.place import Place, find_place, is_elsewhere, is_endpoint, name_endpoint

HOME = Place("123456789012", "eu-central-1")
NAMES = st.from_regex(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,30}", fullmatch=True)
PLACES = st.builds(
    Place, st.from_regex(r"[0-9]{12}", fullmatch=True), st.sampled_from(["eu-west-1", "us-gov-west-1", "ap-southeast-2", "mx-central-1"])
)  # fmt: skip


@given(NAMES, PLACES)
def test_a_name_leads_back_to_its_place(name, somewhere):
    called = name_endpoint(name, somewhere, HOME)
    assert is_endpoint(called)
    assert find_place(called, HOME) == somewhere
    assert is_elsewhere(called) == (somewhere != HOME)


@given(NAMES, PLACES, NAMES, PLACES)
def test_no_two_endpoints_share_a_name(first, here, second, there):
    assert (name_endpoint(first, here, HOME) == name_endpoint(second, there, HOME)) == (
        (first, here) == (second, there)
    )


@pytest.mark.parametrize("called", ["signs.1.eu-west-1", "signs.210987654321", "signs.210987654321.", ".210987654321.eu-west-1",
                                    "signs.210987654321.eu-west-1.more", "signs.210987654321.EU-WEST-1", "a/b"])  # fmt: skip
def test_what_is_no_name_is_refused_with_line_and_key(called):
    assert not is_endpoint(called)
    with pytest.raises(ConfigurationError) as refused:
        parse_monitors(f"version: 1\nendpoints:\n  {called}: {{}}\n", "monitors.yml")
    assert refused.value.line == 3
    assert ".ACCOUNT.REGION" in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("diagnosis: {mode: swap}", "watched, never touched"),
        ("diagnosis: {mode: replay}", "watched, never touched"),
        ("quality: {every: 1h, baseline: 's3://b/p'}", "scheduled there"),
    ],
)
def test_an_endpoint_elsewhere_is_only_watched(setting, reason):
    text = f"version: 1\nendpoints:\n  signs.210987654321.eu-west-1:\n    {setting}\n"
    with pytest.raises(ConfigurationError) as refused:
        parse_monitors(text, "monitors.yml")
    assert reason in str(refused.value)
    assert refused.value.line == 3
    assert parse_monitors(text.replace(".210987654321.eu-west-1", ""), "monitors.yml")


def test_the_examples_hold():
    assert doctest.testmod(place).failed == 0
