"""Keys of capture objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagewatch.capture import parse_key
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream

REAL_KEYS = Path(__file__).parents[4] / "shared" / "real" / "captures" / "s3_keys_seen.jsonl"
TAIL = "signs/AllTraffic/2026/06/12/10/33-28-867-b7b86a39-1a5c-46b0-97dd-24f8da3dffc1.jsonl"


@pytest.mark.parametrize("prefix", ["cap/tures", "/cap/tures/", "cap/tures/"])
def test_a_key_says_whose_file_it_is_and_when_it_begins(prefix: str) -> None:
    location = parse_key(f"cap/tures/{TAIL}", prefix, bucket="b", etag="e")
    assert location.stream == Stream("signs", "AllTraffic")
    assert location.first_at == datetime(2026, 6, 12, 10, 33, 28, 867_000, tzinfo=UTC)
    assert (location.bucket, location.key, location.etag) == ("b", f"cap/tures/{TAIL}", "e")


def test_an_empty_prefix_is_the_buckets_root() -> None:
    assert parse_key(TAIL, "").stream.endpoint == "signs"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (f"other/{TAIL}", "not_under_prefix"),
        (f"captures/{TAIL}", "not_under_prefix"),
        ("cap", "not_under_prefix"),
        (f"cap/deeper/{TAIL}", "not_a_capture_key"),
        (f"cap/{TAIL}.gz", "not_a_capture_key"),
        (f"cap/{TAIL}\n", "not_a_capture_key"),
        ("cap/signs/AllTraffic/2026/06/12/10/0001.jsonl", "not_a_capture_key"),
        (f"cap/{TAIL.replace('2026/06', '2026/13')}", "impossible_time"),
        (f"cap/{TAIL.replace('33-28-867', '73-28-867')}", "impossible_time"),
        (f"cap/{TAIL.replace('2026', '0000')}", "impossible_time"),
        (f"cap/{TAIL.replace('2026', '٢٠٢٦')}", "not_a_capture_key"),
    ],
)
def test_any_other_key_is_rejected_with_its_reason(key: str, reason: str) -> None:
    with pytest.raises(RejectedInputError) as caught:
        parse_key(key, "cap")
    assert caught.value.reason == reason
    assert caught.value.where == key


@pytest.mark.real
def test_real_capture_keys_are_read_and_other_real_keys_are_not() -> None:
    if not REAL_KEYS.exists():
        pytest.skip(f"{REAL_KEYS} is absent")
    for line in REAL_KEYS.read_text().splitlines():
        seen = json.loads(line)
        key = seen["key_or_uri"].partition("://")[2].partition("/")[2] or seen["key_or_uri"]
        prefix = "/".join(key.split("/")[:-7])
        if seen["kind"] == "endpoint_capture" and key.endswith(".jsonl"):
            assert parse_key(key, prefix).stream.variant
        elif seen["kind"] != "merge_output" and seen["kind"] != "endpoint_capture":
            with pytest.raises(RejectedInputError):
                parse_key(key, prefix)
