"""``Hooks`` over HTTP: PagerDuty, Slack's incoming webhooks, and anybody's own receiver. Secrets are fetched, not kept."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sagewatch.alert.webhook import sign
from sagewatch.alerting import Receiver
from sagewatch.errors import DeliveryError

_TIMEOUT_SECONDS = 10
_TOO_MANY = 429
_SERVER_ERRORS = 500


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body, and with our signature: it is an answer like any other."""

    def redirect_request(self, *_: Any) -> None:
        """Not followed: the answer becomes an ``HTTPError``."""


_OPENER = urllib.request.build_opener(_NoRedirects)


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
        request = urllib.request.Request(url, data=sent, headers=headers, method="POST")  # noqa: S310 (checked)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            after = error.headers.get("Retry-After") or ""
            raise DeliveryError(
                target,
                f"HTTP {error.code}: {error.read(300).decode(errors='replace')}",
                recoverable=error.code == _TOO_MANY or error.code >= _SERVER_ERRORS,
                after_seconds=float(after) if after.isdecimal() else None,
            ) from None
        except OSError as error:
            raise DeliveryError(target, type(error).__name__, recoverable=True) from None

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
