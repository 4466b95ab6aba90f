"""Woken by a finding: opens, updates or resolves the one incident that it belongs to."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.manage_incident import manage_incident

handler = build_handler(manage_incident)
