"""A link that opens CloudWatch Logs Insights with the query that answers "what did it say?".

Source: the console's own links; it quotes a query twice, ``~('`` as ``$257E$2528$2527`` and all else as ``*`` and two digits.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sagewatch.incident.describe_report import REPORT_KINDS
from sagewatch.place import name_console

if TYPE_CHECKING:
    from sagewatch.incident.model import Incident

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_AROUND: Final = timedelta(minutes=15)
_LONGEST_JOB: Final = timedelta(days=1)
_LINES: Final = 200
_TILDE, _OPEN, _QUOTE, _CLOSE = "$257E", "$2528", "$2527", "$2529"


def build_log_query(incident: Incident, now: datetime) -> str | None:
    """What the endpoint's model logged from before it began until now, or the monitoring job that found it.

    None where there is no such log: no job was ever started, or a name is none of SageMaker's.
    """
    finding = incident.latest
    if finding.kind in REPORT_KINDS:
        # Streams of a job are called JOB/algo-1-TIME.
        group, stream = "/aws/sagemaker/ProcessingJobs", finding.job
        # It goes on, and the job is the latest one that found it.
        end = (incident.resolved_at or now) + _AROUND
        start = max(finding.raised_at - _LONGEST_JOB, end - 2 * _LONGEST_JOB)
    else:
        endpoint, stream = incident.endpoint.partition(".")[0], incident.variant
        if not _NAME.fullmatch(endpoint):
            return None
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        start, end = finding.window.start - _AROUND, (incident.resolved_at or now) + _AROUND
    if not _NAME.fullmatch(stream):
        return None
    query = (
        f"fields @timestamp, @logStream, @message\n| filter @logStream like '{stream}/'\n"
        f"| sort @timestamp desc\n| limit {_LINES}"
    )
    return _build_url(incident.region, group, query, start, end)


def _build_url(region: str, group: str, query: str, start: datetime, end: datetime) -> str:
    told = {
        "end": _quote(_spell(end)),
        "start": _quote(_spell(start)),
        "timeType": _quote("ABSOLUTE"),
        "tz": _quote("UTC"),
        "editorString": _quote(query),
        "source": f"{_OPEN}{_TILDE}{_quote(group)}{_CLOSE}",
    }
    detail = _TILDE.join(f"{name}{_TILDE}{value}" for name, value in told.items())
    return (
        f"https://{name_console(region)}/cloudwatch/home?region={region}"
        f"#logsV2:logs-insights$3FqueryDetail$3D{_TILDE}{_OPEN}{detail}{_CLOSE}"
    )


def _spell(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _quote(text: str) -> str:
    said = "".join(one if one.isalnum() or one in "-." else f"*{ord(one):02x}" for one in text)
    return f"{_QUOTE}{said}"
