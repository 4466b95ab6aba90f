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


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def context(*elements: dict[str, str]) -> dict[str, Any]:
    return {"type": "context", "elements": list(elements)}


def confirm(title: str = "Resolve?") -> dict[str, Any]:
    return {"title": plain(title), "text": plain("x"), "confirm": plain("yes"), "deny": plain("no")}


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
            [{"type": "section", "fields": [mrkdwn("x" * 1000)] * 10}],
            [{"type": "section", "fields": [mrkdwn("x")] * 11}],
        ),
        (
            [{"type": "section", "fields": [mrkdwn("x" * 2000)]}],
            [{"type": "section", "fields": [mrkdwn("x" * 2001)]}],
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
        ([button(confirm=confirm(title="x" * 100))], [button(confirm=confirm(title="x" * 101))]),
        ([button(confirm=confirm())], [button(confirm={"title": plain("x")})]),
        ([button(confirm=confirm())], [button(confirm={**confirm(), "deny": mrkdwn("x")})]),
        ([button(confirm=confirm(), style="danger")], [button(style="blue")]),
        ([button()], [button(text=mrkdwn("ok"))]),
        ([button()], [button(text=None)]),
        ([button()], [button(colour="red")]),
        ([button()], [{"type": "actions", "elements": [{"type": "knob", "action_id": "a"}]}]),
        ([{"type": "divider"}], [{"type": "divider", "text": mrkdwn("x")}]),
        ([section("x")], [{**section("x"), "colour": "red"}]),
        (
            [{"type": "image", "alt_text": "x", "image_url": "https://x"}],
            [{"type": "image", "alt_text": "x"}],
        ),
        (
            [{"type": "image", "alt_text": "x", "image_url": "https://x"}],
            [{"type": "image", "alt_text": "x", "image_url": "ftp://x"}],
        ),
        (
            [context({"type": "image", "alt_text": "x", "image_url": "https://x"})],
            [context({"type": "image", "image_url": "https://x"})],
        ),
        ([context(mrkdwn("x" * 3000))], [context(mrkdwn("x" * 3001))]),
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


def test_all_texts_of_a_message_have_a_limit_together() -> None:
    fields = {"type": "section", "fields": [mrkdwn("x" * 400)] * 10}
    full = [section("x" * 3000)] * 3 + [fields]
    assert refuse_message({"text": "x" * 40_000, "blocks": full}) is None
    assert refuse_message({"text": "x", "blocks": [*full, section("x")]}) == ("msg_blocks_too_long", [])


def test_blocks_that_are_no_list_are_refused() -> None:
    assert refuse_message({"text": "x", "blocks": {"type": "divider"}}) == ("invalid_blocks_format", [])


def test_a_message_of_nothing_is_refused() -> None:
    assert refuse_message({}) == ("no_text", [])
    assert refuse_message({"text": "x" * 40_001}) == ("msg_too_long", [])
