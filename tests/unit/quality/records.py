"""Capture lines, written as SageMaker writes them."""

from __future__ import annotations

import json


def capture_line(sent="1,2,3", answered="0.5", **given):
    """One captured request; ``sent_as`` and ``answered_as`` are (encoding, content type)."""
    sent_as = given.pop("sent_as", ("CSV", "text/csv"))
    answered_as = given.pop("answered_as", ("CSV", "text/csv; charset=utf-8"))
    metadata = {
        "eventId": given.pop("event_id", "e-1"),
        "inferenceTime": given.pop("at", "2026-06-12T10:33:28Z"),
    }
    assert not given
    captured = {}
    if sent is not None:
        captured["endpointInput"] = side(sent, "INPUT", *sent_as)
    if answered is not None:
        captured["endpointOutput"] = side(answered, "OUTPUT", *answered_as)
    return json.dumps({"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"})


def side(data, mode, encoding, content_type):
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def write_captures(folder, lines, name="33-28-867-b7b86a39-1a5c-46b0-97dd-24f8da3dffc1.jsonl"):
    path = folder / "endpoint" / "AllTraffic" / "2026" / "06" / "12" / "10" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path
