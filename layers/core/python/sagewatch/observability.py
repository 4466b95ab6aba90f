"""Logs: one JSON line a decision, the message a constant fact, the data as keys; never a payload."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools import Logger


@cache
def get_logger() -> Logger:
    """The process's logger; its level and service come from POWERTOOLS_* variables of the deployment."""
    return Logger()
