"""The rows of the one table that alerts are made of: groups, what was told, silences, and what is due when.

=======================================  ===========================================================
pk / sk                                  holds
=======================================  ===========================================================
``group#<group>#<channel>`` / ``ledger`` the one message that a group has at a receiver's channel
``group#...`` / ``member#<incident>``    an incident of the group, and what the receiver was told of it
``incident#<id>`` / ``pictures#<target>`` its heat maps are in the thread of the target's message
``incident#<id>`` / ``audible``           since when people can be told of it without a break
``incident#<id>`` / ``said#<key>``       a line of its trail that is written once
``incident#<id>`` / ``outbox#<target>``  in which group a receiver hears of the incident (a copy for readers)
``receiver#<target>`` / ``pause``        until when a receiver's channel is left alone, whatever it is about
``open-incidents`` / ``<incident>``      when the incident's alerts are to be looked at again
``silences`` / ``<silence>``             a silence; kept for a while after its end, for the record
=======================================  ===========================================================
"""

from __future__ import annotations

from sagewatch.alert_state.due import DueRows
from sagewatch.alert_state.groups import TOLD_TO_THE_END, Group, GroupRows
from sagewatch.alert_state.marks import MarkRows
from sagewatch.alert_state.silences import SilenceRows

__all__ = ["TOLD_TO_THE_END", "AlertState", "Group"]


class AlertState(GroupRows, MarkRows, DueRows, SilenceRows):
    """Typed reading and writing of what alerts remember."""
