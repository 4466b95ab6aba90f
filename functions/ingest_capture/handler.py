"""Woken by a capture file: counts its predictions, asks the detectors, reports findings."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.ingest_capture import ingest_capture

handler = build_handler(ingest_capture)
