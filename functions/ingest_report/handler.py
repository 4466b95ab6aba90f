"""Woken by a finished processing job: reads a monitor's report, or why there is none."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.ingest_report import ingest_report

handler = build_handler(ingest_report)
