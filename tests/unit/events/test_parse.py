"""Every event that reaches us becomes a fact, is ignored with a reason, or is rejected naming its key."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.events import (
    CaptureLanded,
    DiagnosisChanged,
    EndpointChanged,
    Ignored,
    IncidentChanged,
    JobChanged,
    TensorsLanded,
    Ticked,
    parse_event,
)

REAL = Path(__file__).parents[4] / "shared" / "real" / "events"


def object_created(key: str, **detail: object) -> dict:
    return {
        "id": "1",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-11-21T12:00:00Z",
        "detail": {"bucket": {"name": "b"}, "object": {"key": key, "size": 5, "etag": "e"}, **detail},
    }


def test_a_capture_file_is_recognised_with_its_key_as_it_is():
    fact = parse_event(object_created("capture/a+b c/AllTraffic/2026/11/21/12/00-00-000-x.jsonl"))
    assert fact == CaptureLanded(
        "b",
        "capture/a+b c/AllTraffic/2026/11/21/12/00-00-000-x.jsonl",
        "e",
        5,
        datetime(2026, 11, 21, 12, tzinfo=UTC),
    )


def test_a_recorded_request_is_recognised_by_its_index_object():
    key = "tensors/20261121T203405Z-d70a35fb2065c43a/w1/index/000000000/000000000007_worker_0.json"
    fact = parse_event(object_created(key))
    assert isinstance(fact, TensorsLanded)
    assert fact.incident_id == "20261121T203405Z-d70a35fb2065c43a"


def test_other_objects_are_ignored_with_a_reason():
    assert parse_event(object_created("capture/readme.txt")) == Ignored(
        "not_a_capture", "s3://b/capture/readme.txt"
    )


@pytest.mark.parametrize("path", [("detail",), ("detail", "bucket"), ("detail", "object", "etag"), ("time",)])
def test_an_event_that_lacks_a_key_is_rejected_naming_it(path):
    event = object_created("capture/x.jsonl")
    inner = event
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    with pytest.raises(RejectedInputError) as caught:
        parse_event(event)
    assert caught.value.key.startswith(".".join(path))


@pytest.mark.parametrize(
    ("spelt", "status"), [("IN_SERVICE", "InService"), ("InService", "InService"), ("UPDATING", "Updating")]
)
def test_both_spellings_of_a_status_are_one_word(spelt, status):
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Endpoint State Change",
        "time": "1583831889050",
        "detail": {"EndpointName": "MyEndpoint", "EndpointStatus": spelt},
    }
    fact = parse_event(event)
    assert fact == EndpointChanged("MyEndpoint", status, datetime(2020, 3, 10, 9, 18, 9, 50000, tzinfo=UTC))


def test_the_tick_tells_the_time():
    event = {"source": "sagewatch", "detail-type": "Tick", "time": "2026-11-21T12:00:00Z", "detail": {}}
    assert parse_event(event) == Ticked(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    "fact",
    [
        IncidentChanged(
            change="opened", incident_id="i", fingerprint="f", account="1", region="r", endpoint="e",
            variant="v", kind="k", subject="14", severity="critical",
        ),
        DiagnosisChanged(
            change="due", incident_id="i", account="1", region="r", endpoint="e", variant="v", outcome=""
        ),
    ],
)  # fmt: skip
def test_our_own_facts_survive_the_bus(fact):
    event = {
        "source": "sagewatch",
        "detail-type": fact.detail_type,
        "time": "2026-11-21T12:00:00Z",
        "detail": json.loads(msgspec.json.encode(fact.detail)),
    }
    assert parse_event(event) == fact


@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted(REAL.rglob("*.json")) or [None], ids=lambda p: p.name if p else "none"
)
def test_no_real_event_makes_it_stumble(path):
    if path is None:
        pytest.skip("../shared/real is not here: real events are read in place")
    event = json.loads(path.read_text())
    if not isinstance(event, dict):
        pytest.skip("an answer of an API, no event")
    fact = parse_event(event)
    expected = {
        "endpoint_state_change.json": EndpointChanged,
        "processing_job_state_change_debugger_rule.json": JobChanged,
    }
    assert isinstance(fact, expected.get(path.name, Ignored))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.sampled_from(
    ["detail", "object", "bucket", "name", "key", "etag", "size", "time", "EndpointName"]), x), max_leaves=12))  # fmt: skip
def test_no_detail_however_strange_raises_anything_else(detail):
    for source, kind in [
        ("aws.s3", "Object Created"),
        ("sagewatch", "Finding Raised"),
        ("sagewatch", "Tick"),
    ]:
        with contextlib.suppress(RejectedInputError):
            parse_event({"source": source, "detail-type": kind, "time": detail, "detail": detail})
