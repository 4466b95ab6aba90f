"""``Hooks`` over HTTP: PagerDuty, Slack's incoming webhooks, and anybody's own receiver. Secrets are fetched, not kept."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sagewatch.alert.webhook import sign
from sagewatch.errors import DeliveryError
from sagewatch.monitors.receivers import Receiver

TIMEOUT_SECONDS = 5
"""A channel that takes longer is tried again later: the function has others to tell."""
_TIMED_OUT = 408
_HEALING = frozenset({_TIMED_OUT, 425, 429})
"""What of 4xx another try may mend: request timeout, too early, too many."""
_SERVER_ERRORS = 500
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body, and with our signature: it is an answer like any other."""

    def redirect_request(self, *_: Any) -> None:
        """Not followed: the answer becomes an ``HTTPError``."""


OPENER = urllib.request.build_opener(_NoRedirects)
"""Opens what a POST goes to."""


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


def _read_answer(error: urllib.error.HTTPError) -> str:
    """The first words of a refusal, or nothing where the other side hung up in the middle of them."""
    try:
        return error.read(300).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""


class HttpHooks:
    """Posts JSON to the addresses of monitors.yml.

    Parameters
    ----------
    receivers
        The receivers of monitors.yml by name.
    get_secret
        Where keys and secret addresses come from.
    """

    def __init__(self, receivers: Mapping[str, Receiver], get_secret: Callable[[str], str]) -> None:
        self._receivers = receivers
        self._get_secret = get_secret

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Post; what the other side refuses is a ``DeliveryError`` that says whether it can heal."""
        url, sent, headers = self._prepare(target, body, at)
        if not url.startswith(("https://", "http://")):
            raise DeliveryError(target, "address_is_no_url", recoverable=False)
        try:
            request = urllib.request.Request(url, data=sent, headers=headers, method="POST")  # noqa: S310 (checked)
            with OPENER.open(request, timeout=TIMEOUT_SECONDS):
                return
        except (ValueError, http.client.InvalidURL):
            # Its text holds the address, which is a secret: neither it nor its cause is kept.
            raise DeliveryError(target, "address_is_no_url", recoverable=False) from None
        except urllib.error.HTTPError as error:
            raise DeliveryError(
                target,
                f"HTTP {error.code}: {_read_answer(error)}",
                recoverable=may_heal(error.code),
                after_seconds=read_retry_after(error.headers.get("Retry-After"), error.headers.get("Date")),
                perhaps_taken=may_be_done(error.code),
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(
                target, type(error).__name__, recoverable=True, perhaps_taken=is_perhaps_taken(error)
            ) from None

    def _prepare(
        self, target: str, body: Mapping[str, Any], at: datetime
    ) -> tuple[str, bytes, dict[str, str]]:
        name, _, channel = target.rpartition("/")
        receiver, headers = self._receivers[name], {"Content-Type": "application/json"}
        if channel == "pagerduty" and receiver.pagerduty is not None:
            keyed = {**body, "routing_key": self._get_secret(receiver.pagerduty.key)}
            return receiver.pagerduty.url, json.dumps(keyed).encode(), headers
        if channel == "slack_webhook" and receiver.slack_webhook is not None:
            return self._get_secret(receiver.slack_webhook.url), json.dumps(body).encode(), headers
        if channel == "webhook" and receiver.webhook is not None:
            sent, timestamp = json.dumps(body).encode(), int(at.timestamp())
            signature = sign(sent, self._get_secret(receiver.webhook.secret), timestamp)
            signed = {"X-Sagewatch-Timestamp": str(timestamp), "X-Sagewatch-Signature": signature}
            return receiver.webhook.url, sent, headers | signed
        raise DeliveryError(target, "no such channel", recoverable=False)
