"""Woken every minute: notices what no event told, and takes up what was left lying."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.tick import tick

handler = build_handler(tick)
