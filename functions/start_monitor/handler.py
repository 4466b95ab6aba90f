"""Woken when a window of traffic is over: starts the job that looks at its data."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.start_monitor import start_monitor

handler = build_handler(start_monitor)
