"""SageMaker's names of monitoring schedules: whatever endpoint and stage, one each, and such as it takes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from layers.stack_parameters import LONGEST_STAGE
from sagewatch.monitoring.policy import (
    find_stage,
    fold_stage,
    is_of_another_stage,
    name_monitoring_schedule,
    name_schedule,
)

# Endpoints, schedules: SageMaker API reference. Stages: layers/stack_parameters.py.
ENDPOINT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
endpoints = st.from_regex(r"\A[a-b](-{0,2}[a-b0-1]){0,40}\Z").filter(lambda one: len(one) <= 63)
stages = st.from_regex(r"\A[a-b][a-b0-1]{0,3}(-[a-b0-1]{1,4}){0,2}\Z").filter(
    lambda one: len(one) <= LONGEST_STAGE
)
pairs = st.tuples(endpoints, stages)


@given(pairs, pairs)
def test_no_two_of_endpoint_and_stage_share_a_name(one, other):
    names = [name_monitoring_schedule(*pair) for pair in (one, other)]
    assert (names[0] == names[1]) is (one == other)
    for name in names:
        assert len(name) <= 63
        assert ENDPOINT.fullmatch(name)


@given(endpoints, stages, stages)
def test_a_stage_knows_its_own_from_anothers(endpoint, own, other):
    mine, theirs = (name_monitoring_schedule(endpoint, stage) for stage in (own, other))
    there = [mine, theirs, name_schedule(endpoint)]
    assert is_of_another_stage(mine, endpoint, own, there) is False
    assert is_of_another_stage(theirs, endpoint, own, there) is (own != other)
    assert fold_stage(mine, endpoint, own) == name_schedule(endpoint)
    assert find_stage(f"sagewatch-{own}-evidence-123456789012-eu-west-1") == own
