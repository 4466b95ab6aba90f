"""Woken by Slack: somebody pressed a button under a message."""

from __future__ import annotations

from sagewatch.entry import build_url_handler
from sagewatch.flows.slack_action import slack_action

handler = build_url_handler(slack_action)
