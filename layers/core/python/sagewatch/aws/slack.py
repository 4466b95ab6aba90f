"""``Chat`` in Slack, by slack_sdk. Source: Slack API, chat.postMessage and chat.update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sagewatch.alerting import SlackReceiver
from sagewatch.errors import DeliveryError

_HEALS = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_OUTDATED = frozenset({"invalid_auth", "token_revoked", "token_expired"})


class Tokens(Protocol):
    """Secrets by name: as they are known, and as they are now."""

    def get_secret(self, name: str) -> str:
        """The secret, perhaps some minutes old."""
        ...

    def refresh_secret(self, name: str) -> str:
        """The secret as it is now."""
        ...


class SlackChat:
    """Slack, with one bot token a receiver.

    Parameters
    ----------
    receivers
        The Slack receivers of monitors.yml by name.
    secrets
        Where tokens come from.
    """

    def __init__(self, receivers: Mapping[str, SlackReceiver], secrets: Tokens) -> None:
        self._receivers = receivers
        self._secrets = secrets

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        """Post; the timestamp that later updates name."""
        answer = self._call(
            receiver, "chat.postMessage", {**message, "channel": self._receivers[receiver].channel}
        )
        # chat.update wants the channel's id, which only the answer to the post tells.
        return f"{answer['channel']}:{answer['ts']}"

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Post in the message's thread."""
        channel, ts = handle.split(":", 1)
        self._call(receiver, "chat.postMessage", {**message, "channel": channel, "thread_ts": ts})

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Change the message in place."""
        channel, ts = handle.split(":", 1)
        self._call(receiver, "chat.update", {**message, "channel": channel, "ts": ts})

    def _call(self, receiver: str, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call; a token that Slack does not know any more may have been rotated, so it is looked up once more."""
        settings = self._receivers[receiver]
        token = self._secrets.get_secret(settings.token)
        try:
            return self._call_with(token, receiver, method, body)
        except DeliveryError as error:
            if (
                error.reason not in _OUTDATED
                or (fresh := self._secrets.refresh_secret(settings.token)) == token
            ):
                raise
        return self._call_with(fresh, receiver, method, body)

    def _call_with(self, token: str, receiver: str, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        settings = self._receivers[receiver]
        client = WebClient(token=token, base_url=settings.api_url, timeout=10, retry_handlers=[])
        try:
            return dict(client.api_call(method, json=dict(body)).data)  # type: ignore[arg-type]
        except SlackApiError as error:
            code = str(error.response.get("error", "unknown"))
            after = error.response.headers.get("Retry-After")
            heals = code in _HEALS or error.response.status_code >= 500  # noqa: PLR2004 (HTTP server errors)
            raise DeliveryError(
                receiver, code, recoverable=heals, after_seconds=float(after) if after else None
            ) from error
        except OSError as error:
            raise DeliveryError(receiver, type(error).__name__, recoverable=True) from error
