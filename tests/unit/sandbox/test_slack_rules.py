"""Messages at a limit pass, messages over it do not."""

from __future__ import annotations

from typing import Any

import pytest

from sagewatch.sandbox.slack_rules import refuse_message


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**changes: Any) -> dict[str, Any]:
    element = {"type": "button", "text": {"type": "plain_text", "text": "ok"}, "action_id": "a", **changes}
    return {"type": "actions", "elements": [element]}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ([section("x" * 3000)], [section("x" * 3001)]),
        ([{"type": "divider"}] * 50, [{"type": "divider"}] * 51),
        (
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}],
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        ),
        ([button(value="x" * 2000)], [button(value="x" * 2001)]),
        (
            [button(text={"type": "plain_text", "text": "x" * 75})],
            [button(text={"type": "plain_text", "text": "x" * 76})],
        ),
        ([button(url="x" * 3000)], [button(url="x" * 3001)]),
        (
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2000}] * 10}],
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        ),
        (
            [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 10}],
            [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
        ),
        (
            [{"type": "image", "alt_text": "x", "image_url": "https://x"}],
            [{"type": "image", "image_url": "https://x"}],
        ),
        ([section("x")], [{"type": "section"}]),
        ([section("x")], [{"type": "unheard-of"}]),
        ([section("x")], [section("")]),
        ([section("x")], [{"type": "section", "text": {"type": "html", "text": "x"}}]),
        ([section("x")], [{"type": "section", "text": "x"}]),
        (
            [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "verbatim": True}}],
            [{"type": "section", "text": {"type": "plain_text", "text": "x", "verbatim": True}}],
        ),
        (
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}]}],
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": ""}]}],
        ),
        (
            [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}]}],
            [{"type": "context", "elements": []}],
        ),
        ([button()], [{"type": "actions", "elements": []}]),
        ([button()], [{"type": "actions", "elements": button()["elements"] * 2}]),
        (
            [button(confirm={"title": {"type": "plain_text", "text": "x" * 100}})],
            [button(confirm={"title": {"type": "plain_text", "text": "x" * 101}})],
        ),
        (
            [{**section("x"), "block_id": "a"}, {**section("x"), "block_id": "b"}],
            [{**section("x"), "block_id": "a"}, {**section("x"), "block_id": "a"}],
        ),
        ([{**section("x"), "block_id": "x" * 255}], [{**section("x"), "block_id": "x" * 256}]),
    ],
)
def test_a_limit_is_a_limit(good: list[dict[str, Any]], bad: list[dict[str, Any]]) -> None:
    assert refuse_message({"text": "x", "blocks": good}) is None
    refused = refuse_message({"text": "x", "blocks": bad})
    assert refused is not None
    assert refused[0] == "invalid_blocks"


def test_the_refusal_points_at_the_block() -> None:
    refused = refuse_message({"blocks": [section("x"), section("y" * 3001)]})
    assert refused == ("invalid_blocks", ["text.text longer than 3000 [json-pointer:/blocks/1]"])


def test_a_message_of_nothing_is_refused() -> None:
    assert refuse_message({}) == ("no_text", [])
    assert refuse_message({"text": "x" * 40_001}) == ("msg_too_long", [])
