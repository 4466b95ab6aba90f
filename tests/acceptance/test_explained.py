"""Every decision of a story can be told afterwards, in words."""

from __future__ import annotations

import ast
from pathlib import Path

import sagewatch
from sagewatch.incident.why import REASONS, tell_trail

PACKAGE = Path(sagewatch.__file__).parent


def test_the_trail_tells_who_was_told_what_and_why(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1m").acknowledges("stop", by="ada")
    story.at("9m").throttles("on-call/slack", times=1, retry_after=30)
    story.at("10m").clears("stop")
    story.play_only("1h")
    state, name = story.world.state, story.find("stop")
    told = "\n".join(tell_trail(state.load_entries(name), state.load_debts(name)))
    assert (
        "A message was sent (firing) to on-call/mail, because it had not been told yet. [new_incident" in told
    )
    assert "next try after 30 s" in told
    assert "by ada]" in told
    assert "on-call/slack was told of the end" in told


def test_every_reason_for_a_message_has_words():
    source = (PACKAGE / "alert" / "outbox.py").read_text()
    sends = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Send", "Spare"}
    ]
    codes = {
        keyword.value.value
        for send in sends
        for keyword in send.keywords
        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant)
    }
    assert len(codes) >= 4
    assert codes <= REASONS.keys()
