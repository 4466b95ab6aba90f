"""What whoever is woken needs besides: the runbook on the page, the list of all incidents, nothing that must stay secret."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from sagewatch.entry import handle
from sagewatch.evidence.index_page import build_index
from sagewatch.evidence.markup import UnsafeUrlError, tag
from sagewatch.evidence.model import BrokenConstraint, IndexRow
from sagewatch.evidence.page import build_page
from sagewatch.evidence.redaction import WITHHELD, redact_text
from sagewatch.evidence.runbooks import collect_runbooks, load_runbooks
from sagewatch.evidence.sensitive_names import REDACTED
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.incident.describe import KINDS
from sagewatch.incident.model import Entry
from tests.unit.evidence.story import build_dossier
from tests.unit.flows.captures import draw_attacked, draw_clean, put_files
from tests.unit.flows.worlds import MONITORS, NOW, Pump, build_world

ROOT = Path(__file__).parents[3]


def test_the_runbooks_on_pages_are_those_of_the_docs():
    told = collect_runbooks(ROOT / "docs" / "runbooks")
    file = ROOT / "layers/core/python/sagewatch/evidence/runbooks.json"
    assert file.read_text() == told, "python -m sagewatch.evidence.runbooks docs/runbooks"
    assert set(KINDS) <= load_runbooks().keys()


def test_the_page_holds_the_runbook_of_its_kind_as_text():
    page = build_page(build_dossier()).decode()
    assert "First five minutes" in page
    assert "<code>one_false_alarm_in</code>" in page


def build_large(events=1000, features=200):
    """An incident of many events, and a report of many features."""
    dossier = build_dossier()
    start = dossier.incident.opened_at
    entries = [Entry(at=start + timedelta(seconds=n), what="finding_raised", reason="evidence_grew", by="x", data={"n": n})
               for n in range(events)]  # fmt: skip
    broken = [
        BrokenConstraint(subject=f"feature_{n}", check="data_type_check", description=f"{n} % of rows")
        for n in range(features)
    ]
    return msgspec.structs.replace(dossier, entries=tuple(entries), violations=tuple(broken))


def test_a_thousand_events_and_two_hundred_features_page_well():
    page = build_page(build_large()).decode()
    assert "940 events between" in page
    assert "160 more" in page
    assert "feature_199" in page
    assert len(page) < 3_000_000


def rows(count=3):
    return [
        IndexRow(incident_id=f"20261121T2034{n:02d}Z-d70a35fb2065c43a", endpoint=["signs", "churn"][n % 2], variant="AllTraffic",
                 kind="class-concentration", subject=str(n), severity="critical", state=["open", "resolved"][n % 2], opened_at=NOW)
        for n in range(count)
    ]  # fmt: skip


def test_one_incident_is_not_called_incidents():
    assert "<h1>1 incident</h1>" in build_index(rows(1), NOW).decode()
    assert "<h1>2 incidents</h1>" in build_index(rows(2), NOW).decode()


def test_the_index_links_to_every_incidents_page_and_filters_by_endpoint_kind_and_state():
    page = build_index(rows(), NOW).decode()
    for row in rows():
        assert f'href="{row.incident_id}/index.html"' in page
    for name in ("endpoint", "kind", "state"):
        assert f'<select name="{name}">' in page


def test_a_hostile_name_is_inert_in_the_index():
    hostile = msgspec.structs.replace(
        rows(1)[0], subject="<script>alert(1)</script>", endpoint='"><img src=x>'
    )
    turned = msgspec.structs.replace(hostile, kind="drift\u202egnp", endpoint="signs\u202enoitcudorp")
    page = build_index([hostile, turned], NOW).decode()
    assert "<script>alert" not in page
    assert "<img" not in page
    assert re.findall("<option[^>]*>[^<]*\u202e", page) == []


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "../x/index.html", "//evil.example/index.html", "a/b:c.html", "x/../y.html"],
)
def test_a_link_of_the_index_leads_only_to_a_folder_beside_it(url):
    with pytest.raises(UnsafeUrlError):
        tag("a", "x", href=url)


def test_sensitive_fields_are_redacted_at_any_depth():
    text = json.dumps([{"customer_id": "c-1", "deep": {"Customer_Id": "c-2", "age": 3}}])
    redacted = redact_text(text, ["customer_id"])
    assert json.loads(redacted) == [{"customer_id": REDACTED, "deep": {"Customer_Id": REDACTED, "age": 3}}]
    assert redact_text("5.1,c-1", ["customer_id"]) == WITHHELD
    assert redact_text("[5.1, 3]", ["customer_id"]) == WITHHELD
    assert redact_text("5.1,c-1", []) == "5.1,c-1"


def test_no_page_bundle_or_message_holds_a_sensitive_value():
    """From the capture to everything that is written or sent."""
    monitors = MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [customer_id]\n")
    world = build_world(monitors)
    rng = random.Random(1)
    events = put_files(world, draw_clean(300, rng) + draw_attacked(60, rng), NOW)
    secret = json.dumps({"customer_id": "c-4711", "age": 30})
    for place, body in list(world.objects.bodies.items()):
        lines = [json.loads(line) for line in body.decode().splitlines()]
        for line in lines:
            line["captureData"]["endpointInput"]["data"] = secret
        world.objects.bodies[place] = "\n".join(map(json.dumps, lines)).encode() + b"\n"
    pump = Pump(world)
    for event in events:
        handle(ingest_capture, event, world)
        pump.run()
    evidence = {key: body for (bucket, key), body in world.objects.bodies.items() if bucket == "evidence"}
    assert any(key.endswith("captures.jsonl") and b"[redacted]" in body for key, body in evidence.items())
    assert any(key == "incidents/index.html" for key in evidence)
    sent = json.dumps([world.mail.mails, world.chat.posted, world.chat.updated], default=str).encode()
    assert [key for key, body in {**evidence, "messages": sent}.items() if b"c-4711" in body] == []
