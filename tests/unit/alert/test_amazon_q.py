"""Custom notifications of Amazon Q Developer: on the schema whatever the names, and checked before they go."""

from __future__ import annotations

import json

import msgspec
import pytest

from sagewatch.alert.amazon_q import MESSAGE_LIMIT_BYTES, find_faults, render_amazon_q
from sagewatch.alert.outbox import Kind
from sagewatch.incident.describe import KINDS
from tests.unit.alert.story import HOSTILE, announce, announce_hostile
from tests.unit.golden.golden import check_golden

GOOD = {"version": "1.0", "source": "custom", "content": {"description": "what"}}


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_notification_reads_as_it_was_looked_at(kind, finding_kind):
    message = render_amazon_q(announce(kind, finding_kind), "0f0f")
    assert find_faults(message) == []
    text = json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    check_golden(f"amazon_q/{finding_kind}.{kind}.json", text)


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_on_the_schema_and_mention_nobody(name, finding_kind):
    message = render_amazon_q(announce_hostile(Kind.RESOLVED, finding_kind, HOSTILE[name]), "0f0f")
    assert find_faults(message) == []
    assert len(json.dumps(message).encode()) <= MESSAGE_LIMIT_BYTES
    content = message["content"]
    for text in (content["title"], content["description"], content["nextSteps"][0]):
        assert "<!" not in text
        assert "<@" not in text


@pytest.mark.parametrize("name", ["https://evil.example/login", "HTTP://evil.example", "@here"])
def test_a_name_is_no_address_that_a_chat_program_makes_a_link_of(name):
    message = render_amazon_q(announce_hostile(Kind.FIRING, "class-concentration", name), "0f0f")
    content = message["content"]
    for text in (content["title"], content["description"], content["nextSteps"][0], *content["keywords"]):
        assert name not in text
    assert name.replace(":", ":\u200b").replace("@", "@\u200b") in content["description"]
    assert any(step.startswith("<https://") for step in content["nextSteps"])  # ours still are


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2"},
        {"source": "aws"},
        {"extra": 1},
        {"content": {"title": "only a title"}},
        {"content": {"description": "x" * 8001}},
        {"content": {"description": "x", "nextSteps": ["s"] * 11}},
        {"content": {"description": "x", "keywords": ["k"] * 11}},
        {"content": {"description": "x", "textType": "html"}},
        {"metadata": {"threadId": "t", "nonsense": 1}},
    ],
)
def test_what_would_be_dropped_silently_is_found(change):
    assert find_faults(GOOD) == []
    assert find_faults({**GOOD, **change})


def test_one_thread_a_group_and_one_id_a_message():
    firing = announce(Kind.FIRING, "class-concentration")
    first, second = (
        render_amazon_q(msgspec.structs.replace(firing, kind=kind), "t")
        for kind in (Kind.FIRING, Kind.RESOLVED)
    )
    assert first["metadata"]["threadId"] == second["metadata"]["threadId"] == "t"
    assert first["id"] != second["id"]
