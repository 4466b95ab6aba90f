"""Woken by incidents, endpoints, tensors and jobs: takes the diagnosis one step further."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.advance_diagnosis import advance_diagnosis

handler = build_handler(advance_diagnosis)
