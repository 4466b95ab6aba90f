"""Facts go out in requests that AWS takes: ten entries, and together 256 KB. Source: EventBridge, "Calculating entry size"."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from sagewatch.aws import client
from sagewatch.aws.eventbridge import EventBridgeBus
from tests.unit.aws.test_http import serve
from tests.unit.flows.worlds import NOW

LIMIT = 256 * 1024
TIME_BYTES = 14


def measure(entry):
    return TIME_BYTES + sum(len(entry[field].encode()) for field in ("Source", "DetailType", "Detail"))


class Aws:
    """EventBridge, which refuses what is too large."""

    def __init__(self):
        self.requests = []

    def answer(self, handler):
        entries = json.loads(self.requests[-1][2])["Entries"]
        fits = len(entries) <= 10 and sum(map(measure, entries)) < LIMIT
        said = {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]}
        body = json.dumps(said if fits else {"__type": "ValidationException"}).encode()
        handler.send_response(200 if fits else 400)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.mark.parametrize(
    ("size", "number", "requests"),
    [(100, 25, 3), (80_000, 10, 4), (LIMIT - 1000, 3, 3), (0, 0, 0)],
    ids=["many small ones", "some large ones", "each as large as can be", "none"],
)
def test_all_facts_are_taken_in_their_order_however_large_they_are_together(
    monkeypatch, size, number, requests
):
    aws = Aws()
    with serve(aws.answer) as (port, aws.requests):
        for name, value in {
            "AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        client.build_client.cache_clear()
        facts = [
            SimpleNamespace(detail_type="Finding Raised", detail={"n": each, "text": "ä" * (size // 2)})
            for each in range(number)
        ]
        EventBridgeBus("sagewatch").publish(facts, NOW)
        client.build_client.cache_clear()
    bodies = [json.loads(body)["Entries"] for _, _, body in aws.requests]
    assert len(bodies) == requests
    told = [json.loads(entry["Detail"])["n"] for entries in bodies for entry in entries]
    assert told == list(range(number))
