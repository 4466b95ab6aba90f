"""Woken by an incident's change: tells each receiver what it is still owed."""

from __future__ import annotations

from sagewatch.entry import build_handler
from sagewatch.flows.deliver_alert import deliver_alert

# Receivers that are slow, and just not too slow, may take so long over one record: the rest of its batch comes again,
# instead of being cut off in the middle of a message.
RESERVE_SECONDS = 40

# A bucket that hangs may take so long over one page (four questions, each given up after five seconds): what has less comes again.
FOLLOW_UP_SECONDS = 20

handler = build_handler(deliver_alert, RESERVE_SECONDS, FOLLOW_UP_SECONDS, brisk=True)
