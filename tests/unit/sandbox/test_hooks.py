"""The local PagerDuty refuses what the real one would not take."""

from __future__ import annotations

from typing import Any

import pytest

from sagewatch.sandbox.hooks import refuse_event

KEY = "k" * 32


def event(*, payload: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    said = {"summary": "s", "source": "x", "severity": "error", **(payload or {})}
    return {"routing_key": KEY, "event_action": "trigger", "dedup_key": "d", "payload": said, **changes}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (event(links=[{"href": "http://x", "text": "x"}]), event(links=[{"href": "runbooks/x.md"}])),
        (event(links=[]), event(links=[{"text": "x"}])),
        (event(images=[{"src": "https://x/a.png"}]), event(images=[{"src": "http://x/a.png"}])),
        (event(payload={"summary": "5"}), event(payload={"summary": 5})),
        (event(payload={"class": "bias"}), event(payload={"class": 5})),
    ],
)
def test_an_event_is_taken_or_refused_whole(good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert refuse_event(good, KEY) == []
    assert len(refuse_event(bad, KEY)) == 1
