"""The one table, typed: which key holds what, and how it is written (DESIGN §3).

========================================  ==========================================================
pk / sk                                   holds
========================================  ==========================================================
``endpoint#E`` / ``stream#V``             a stream that had captures
``stream#E#V`` / ``segment#<time>#<id>``  the predictions of one capture object; being there means counted
``stream#E#V`` / ``checkpoint``           the detectors' states at the watermark; segments after it refold
``stream#E#V`` / ``told#<finding>#<s>``   this finding's raising or clearing is on the bus
``stream#E#V`` / ``unread``               since when captures lie in S3 that are not counted
``expected#E`` / ``first-capture``         since when captures are expected that never came
``open#<fingerprint>`` / ``open``         the one open incident of the fingerprint
``incident#<id>`` / ``meta``              the incident
``incident#<id>`` / ``event#<time>#<n>``  its audit trail
``incident#<id>`` / ``outbox#<receiver>`` what the receiver has been told
``incident#<id>`` / ``diagnosis``         the diagnosis made for it
``schedule#<name>`` / ``state``           the last run of a monitoring schedule, and what holds since
``schedule#<name>`` / ``watch``           since when the schedule is watched, its latest window, whose its name is
``control#swaps`` / ``switch``            the kill switch of all swaps
``incidents`` / ``<id>``                  an incident in a line: ids sort by time, so this is the list of all
``open-incidents`` / ``<id>``              when the incident's alerts are to be looked at again
``page-turns`` / ``<id>`` or ``index``     who writes the incident's page, or the index, now; gone a day later
``diagnosed-endpoints`` / ``<endpoint>``  its last diagnosis: the list of all leases
``diagnosis#<endpoint>`` / ``lease``      who may swap the endpoint now, and what has been used today
========================================  ==========================================================
"""

from __future__ import annotations

from sagewatch.state.diagnoses import DiagnosisRows
from sagewatch.state.incidents import IncidentRows
from sagewatch.state.schedules import ScheduleRows
from sagewatch.state.streams import StreamRows


class State(StreamRows, IncidentRows, ScheduleRows, DiagnosisRows):
    """Typed reading and writing over the port ``Items``; of alerts see ``alert_state``."""
