"""An endpoint that is watched and was never heard of: since when it is expected, and when that is too long.

The rhythm of ``no_data`` is learned from captures; before the first one there is only the time of the deployment.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from sagewatch.finding import (
    DetectorRef,
    Evidence,
    Finding,
    Severity,
    Stream,
    Window,
    build_content_key,
    build_fingerprint,
)
from sagewatch.place import Place

NEVER_SEEN: Final = "never-seen"
ANY_VARIANT: Final = "any"
WITHIN: Final = timedelta(hours=6)
"""How long the first capture may take where monitors.yml does not say (``no-data.after``)."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """Since when captures of an endpoint are expected.

    Attributes
    ----------
    since
        The first tick that found the endpoint in monitors.yml: within a minute of its deployment.
    told
        The finding that says that none ever came; None before it was told, and once one came.
    """

    endpoint: str
    since: datetime
    told: Finding | None = None
    version: int = 0


def end_expectation(told: Finding, now: datetime, *, seen: bool) -> Finding:
    """The end of what was told: a capture came, or nobody is to wait for one any more."""
    return msgspec.structs.replace(told, cleared_at=now, no_longer_judged=not seen)


def judge_expectation(
    expected: Expectation, now: datetime, place: Place, *, seen: bool, within: timedelta, staged: bool
) -> Finding | None:
    """The finding to tell now: that none ever came, or that one has; None where there is nothing to tell."""
    if expected.told is not None:
        return end_expectation(expected.told, now, seen=True) if seen else None
    if seen or now < expected.since + within:
        return None
    waited = (now - expected.since).total_seconds()
    stream = Stream(expected.endpoint, ANY_VARIANT)
    fingerprint = build_fingerprint(stream, "no-data", NEVER_SEEN)
    return Finding(
        finding_id=build_content_key(fingerprint, expected.since.isoformat()),
        fingerprint=fingerprint,
        account=place.account,
        region=place.region,
        endpoint=expected.endpoint,
        variant=stream.variant,
        kind="no-data",
        subject=NEVER_SEEN,
        severity=Severity.WARNING,
        evidence=Evidence(waited, within.total_seconds(), 0.0, waited, "seconds", waited, 0.0),
        window=Window(expected.since, now, 0),
        source="",
        detector=DetectorRef("no-data", "1", build_content_key(str(within))),
        # Not ``now``: asked again after a crash, it is still the same finding.
        raised_at=expected.since + within,
        staged=staged,
    )
