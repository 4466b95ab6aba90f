"""``Hooks`` over HTTP: PagerDuty, Slack's incoming webhooks, and anybody's own receiver. Secrets are fetched, not kept."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from sagewatch.alert.webhook import sign
from sagewatch.aws.deadline import CALL_SECONDS, Deadline
from sagewatch.aws.striking import strike
from sagewatch.errors import DeliveryError
from sagewatch.monitors.receivers import Receiver

TIMEOUT_SECONDS = 5
"""A channel that is silent for longer is tried again later: the function has others to tell."""
_TIMED_OUT = 408
_HEALING = frozenset({_TIMED_OUT, 425, 429})
"""What of 4xx another try may mend: request timeout, too early, too many."""
_REDIRECTS = range(300, 400)
_OUTDATED = frozenset({400, 401, 403, 404, 410})
"""How the secret of yesterday is refused: a signature or a token (401, 403), PagerDuty's routing key (400, an invalid
event), a Slack webhook that is gone (403 ``invalid_token``, 404 ``no_service``, 410)."""
_READ_BYTES = 4096
_KEPT_CHARACTERS = 300
_SERVER_ERRORS = 500
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_retry_after(header: str | None, date: str | None = None) -> float | None:
    """Seconds of a Retry-After, which may be a date; None where it is neither. Source: RFC 9110, 10.2.3.

    Parameters
    ----------
    date
        The answer's own Date, which a date counts from: two clocks need not agree.

    Examples
    --------
    >>> read_retry_after("120"), read_retry_after("soon")
    (120.0, None)
    >>> read_retry_after("Sat, 21 Nov 2026 12:00:30 GMT", "Sat, 21 Nov 2026 12:00:00 GMT")
    30.0
    """
    if header is None or _SECONDS.fullmatch(header):
        return None if header is None else float(header)
    try:
        length = parsedate_to_datetime(header) - parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    return max(length.total_seconds(), 0.0)


def is_perhaps_taken(error: Exception) -> bool:
    """Whether the request had gone out when it failed; urllib wraps what fails before that in its own error."""
    return not isinstance(error, urllib.error.URLError)


def may_heal(status: int) -> bool:
    """Whether the same request may be taken later. Source: RFC 9110, 15.5 and 15.6; RFC 8470; RFC 6585."""
    return status in _HEALING or status >= _SERVER_ERRORS


def may_be_done(status: int) -> bool:
    """Whether what was refused may have been carried out: a gateway does not say what lies behind it did."""
    return status == _TIMED_OUT or status >= _SERVER_ERRORS


def describe_redirect(status: int, location: str | None) -> str:
    """Why nothing more was sent where a redirect leads; empty for what is none. The host alone: a path may be a secret.

    Examples
    --------
    >>> describe_redirect(307, "https://hooks.example/T0/B0/SECRET")
    'HTTP 307: sends on to hooks.example, and a secret goes to no other address: give the receiver its new one'
    """
    if status not in _REDIRECTS:
        return ""
    try:
        host = urllib.parse.urlsplit(location or "").hostname
    except ValueError:
        host = None
    return (
        f"HTTP {status}: sends on to {host or 'another path'}, and a secret goes to no other address: "
        "give the receiver its new one"
    )


class _Post(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, and where; ``name`` is that of the secret in it."""

    url: str
    body: bytes
    headers: dict[str, str] = {}
    name: str
    secret: str


def _read_answer(error: urllib.error.HTTPError, post: _Post) -> str:
    """The first words of a refusal, without our secrets, or nothing where the other side hung up in the middle of them."""
    try:
        read = error.read(_READ_BYTES)
    except (OSError, http.client.HTTPException):
        return ""
    said = strike(read.decode(errors="replace"), post.secret, post.url, cut=len(read) == _READ_BYTES)
    return said[:_KEPT_CHARACTERS]


class _RefusalError(DeliveryError):
    """An answer that says no, and with which status."""

    status = 0


def _build_refusal(target: str, error: urllib.error.HTTPError, post: _Post) -> _RefusalError:
    refusal = _RefusalError(
        target,
        describe_redirect(error.code, error.headers.get("Location"))
        or f"HTTP {error.code}: {_read_answer(error, post)}",
        recoverable=may_heal(error.code),
        after_seconds=read_retry_after(error.headers.get("Retry-After"), error.headers.get("Date")),
        perhaps_taken=may_be_done(error.code),
    )
    refusal.status = error.code
    return refusal


class HttpHooks:
    """Posts JSON to the addresses of monitors.yml.

    Parameters
    ----------
    receivers
        The receivers of monitors.yml by name.
    get_secret
        Where keys and secret addresses come from.
    seconds
        What one post may take.
    refresh_secret
        The secret as it is now, for what is refused with the known one; without it the known one is all there is.
    """

    def __init__(
        self,
        receivers: Mapping[str, Receiver],
        get_secret: Callable[[str], str],
        seconds: float = CALL_SECONDS,
        refresh_secret: Callable[[str], str] | None = None,
    ) -> None:
        self._receivers = receivers
        self._get_secret = get_secret
        self._seconds = seconds
        self._refresh_secret = refresh_secret or get_secret

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Post; what the other side refuses is a ``DeliveryError`` that says whether it can heal.

        A secret that was refused may have been rotated: it is looked up once more, and what is new is tried.
        """
        post = self._prepare(target, body, at, self._get_secret)
        try:
            self._send(target, post)
        except _RefusalError as refusal:
            if refusal.status not in _OUTDATED or self._refresh_secret(post.name) == post.secret:
                raise
        else:
            return
        self._send(target, self._prepare(target, body, at, self._refresh_secret))

    def _send(self, target: str, post: _Post) -> None:
        if not post.url.startswith(("https://", "http://")):
            raise DeliveryError(target, "address_is_no_url", recoverable=False)
        try:
            request = urllib.request.Request(post.url, data=post.body, headers=post.headers, method="POST")  # noqa: S310 (checked)
            with Deadline(self._seconds) as call:
                try:
                    call.open(request, timeout=TIMEOUT_SECONDS).close()
                except urllib.error.HTTPError as error:
                    raise _build_refusal(target, error, post) from None
        except (ValueError, http.client.InvalidURL):
            # Its text holds the address, which is a secret: neither it nor its cause is kept.
            raise DeliveryError(target, "address_is_no_url", recoverable=False) from None
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(
                target, type(error).__name__, recoverable=True, perhaps_taken=is_perhaps_taken(error)
            ) from None

    def _prepare(
        self, target: str, body: Mapping[str, Any], at: datetime, get_secret: Callable[[str], str]
    ) -> _Post:
        """The request. Keys and addresses have no blanks around them, whatever an editor left at a secret's end."""
        name, _, channel = target.rpartition("/")
        receiver, headers = self._receivers[name], {"Content-Type": "application/json"}
        if channel == "pagerduty" and receiver.pagerduty is not None:
            key = receiver.pagerduty.key
            secret = get_secret(key)
            keyed = {**body, "routing_key": secret.strip()}
            sent = json.dumps(keyed).encode()
            return _Post(url=receiver.pagerduty.url, body=sent, headers=headers, name=key, secret=secret)
        if channel == "slack_webhook" and receiver.slack_webhook is not None:
            address = receiver.slack_webhook.url
            secret, sent = get_secret(address), json.dumps(body).encode()
            return _Post(url=secret.strip(), body=sent, headers=headers, name=address, secret=secret)
        if channel == "webhook" and receiver.webhook is not None:
            sent, timestamp = json.dumps(body).encode(), int(at.timestamp())
            secret = get_secret(receiver.webhook.secret)
            # To the last byte: whoever checks it may have read the same secret as it stands.
            signature = sign(sent, secret, timestamp)
            headers |= {"X-Sagewatch-Timestamp": str(timestamp), "X-Sagewatch-Signature": signature}
            url, signs = receiver.webhook.url, receiver.webhook.secret
            return _Post(url=url, body=sent, headers=headers, name=signs, secret=secret)
        raise DeliveryError(target, "no such channel", recoverable=False)
