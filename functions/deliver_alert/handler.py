"""Woken by an incident's change: tells each receiver what it is still owed."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.deliver_alert import deliver_alert

handler = build_handler(deliver_alert)
