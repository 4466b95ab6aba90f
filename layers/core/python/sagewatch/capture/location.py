"""Where a capture file lies, read from its key."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream

_NAME = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,62}"
# MM-SS-mmm is the time of the first record in the file, in UTC (CONTRACTS §6.3).
_KEY = re.compile(
    rf"(?P<endpoint>{_NAME})/(?P<variant>{_NAME})/"
    r"([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})/([0-9]{2})-([0-9]{2})-([0-9]{3})"
    r"-[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\.jsonl"
)


class CaptureLocation(msgspec.Struct, frozen=True, kw_only=True):
    """One capture file: which object it is, whose predictions it holds, and from when on.

    Attributes
    ----------
    bucket, key, etag
        The object; together they are its identity for counting it exactly once.
    stream
        The endpoint and variant that answered.
    first_at
        Time of its first record, UTC, to the millisecond.
    """

    bucket: str
    key: str
    etag: str
    stream: Stream
    first_at: datetime


def parse_key(key: str, prefix: str, *, bucket: str = "", etag: str = "") -> CaptureLocation:
    """Whose capture file this is and when it begins, from ``<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/...``.

    Parameters
    ----------
    key
        The object's key, as EventBridge gives it (not URL-encoded).
    prefix
        Where the endpoint's data capture writes, with or without slashes around it; may be empty.
    bucket, etag
        Carried along unchanged.

    Raises
    ------
    RejectedInputError
        ``not_under_prefix``, ``not_a_capture_key`` or ``impossible_time``.

    Examples
    --------
    >>> key = "cap/signs/AllTraffic/2026/06/12/10/33-28-867-b7b86a39-1a5c-46b0-97dd-24f8da3dffc1.jsonl"
    >>> parse_key(key, "cap").first_at.isoformat()
    '2026-06-12T10:33:28.867000+00:00'
    """
    root = prefix.strip("/")
    if root and not key.startswith(root + "/"):
        raise RejectedInputError("not_under_prefix", where=key, key=root)
    match = _KEY.fullmatch(key[len(root) + 1 :] if root else key)
    if match is None:
        raise RejectedInputError("not_a_capture_key", where=key)
    try:
        year, month, day, hour, minute, second, millisecond = map(int, match.groups()[2:])
        first_at = datetime(year, month, day, hour, minute, second, 1000 * millisecond, UTC)
    except ValueError as error:
        raise RejectedInputError("impossible_time", where=key) from error
    return CaptureLocation(
        bucket=bucket,
        key=key,
        etag=etag,
        stream=Stream(match["endpoint"], match["variant"]),
        first_at=first_at,
    )
