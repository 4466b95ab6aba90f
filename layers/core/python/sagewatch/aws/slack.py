"""``Chat`` in Slack, by slack_sdk. Source: Slack API, chat.postMessage and chat.update."""

from __future__ import annotations

import http.client
import re
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sagewatch.aws.deadline import CALL_SECONDS, Deadline
from sagewatch.aws.http import (
    TIMEOUT_SECONDS,
    describe_redirect,
    is_perhaps_taken,
    may_be_done,
    may_heal,
    read_retry_after,
)
from sagewatch.errors import DeliveryError
from sagewatch.monitors.receivers import SlackReceiver
from sagewatch.ports import TitledPicture

if TYPE_CHECKING:
    from sagewatch.aws.slack_client import TimelyClient

T = TypeVar("T")
_UPLOADS_TAKE = 2  # times as long as one call: picture follows picture
_CODE = re.compile("[a-z0-9_]{1,80}")
_BUSY = frozenset({"ratelimited", "rate_limited"})
# Slack itself failed, with status 200: "it's possible some aspect of the operation succeeded" (chat.postMessage).
_FAILED = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
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
    seconds
        What one call may take.
    """

    def __init__(
        self, receivers: Mapping[str, SlackReceiver], secrets: Tokens, seconds: float = CALL_SECONDS
    ) -> None:
        self._receivers = receivers
        self._secrets = secrets
        self._seconds = seconds

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        """Post; the timestamp that later updates name."""
        answer = self._call(
            receiver, "chat.postMessage", {**message, "channel": self._receivers[receiver].channel}
        )
        if not (answer.get("channel") and answer.get("ts")):
            raise _build_unreadable(receiver)
        # chat.update wants the channel's id, which only the answer to the post tells.
        return f"{answer['channel']}:{answer['ts']}"

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Post in the message's thread."""
        channel, ts = handle.split(":", 1)
        self._call(receiver, "chat.postMessage", {**message, "channel": channel, "thread_ts": ts})

    def upload_pictures(self, receiver: str, handle: str, pictures: Sequence[TitledPicture]) -> None:
        """Upload them in three steps (address, bytes, completion), all into one reply in the thread."""
        channel, ts = handle.split(":", 1)
        settings = self._receivers[receiver]
        uploads = [
            {"content": one.png, "filename": f"heat-map-{number}.png", "title": one.title}
            for number, one in enumerate(pictures, start=1)
        ]

        def upload(token: str) -> None:
            with _sorting_refusals(receiver), Deadline(_UPLOADS_TAKE * self._seconds) as call:
                _build_client(call, token, settings).files_upload_v2(
                    file_uploads=uploads,
                    channel=channel,
                    thread_ts=ts,
                    initial_comment="Where the model looked",
                )

        self._try_with_token(settings, upload)

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Change the message in place."""
        channel, ts = handle.split(":", 1)
        self._call(receiver, "chat.update", {**message, "channel": channel, "ts": ts})

    def _call(self, receiver: str, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._try_with_token(
            self._receivers[receiver], lambda token: self._call_with(token, receiver, method, body)
        )

    def _try_with_token(self, settings: SlackReceiver, send: Callable[[str], T]) -> T:
        """Send; a token that Slack does not know any more may have been rotated, so it is looked up once more."""
        token = self._secrets.get_secret(settings.token)
        try:
            return send(token)
        except DeliveryError as error:
            if (
                error.reason not in _OUTDATED
                or (fresh := self._secrets.refresh_secret(settings.token)) == token
            ):
                raise
        return send(fresh)

    def _call_with(self, token: str, receiver: str, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        settings = self._receivers[receiver]
        with _sorting_refusals(receiver), Deadline(self._seconds) as call:
            return dict(_build_client(call, token, settings).api_call(method, json=dict(body)).data)  # type: ignore[arg-type]


def _build_client(call: Deadline, token: str, settings: SlackReceiver) -> TimelyClient:
    # Imported here: every function imports this module on its cold start, and one of them writes to Slack.
    from sagewatch.aws.slack_client import TimelyClient  # noqa: PLC0415

    return TimelyClient(call, token=token, base_url=settings.api_url, timeout=TIMEOUT_SECONDS)


@contextmanager
def _sorting_refusals(receiver: str) -> Iterator[None]:
    """Turn what Slack refuses into a ``DeliveryError`` that says whether it can heal."""
    from slack_sdk.errors import SlackApiError, SlackClientError  # noqa: PLC0415 (as above)

    try:
        yield
    except SlackApiError as error:
        raise _judge(receiver, error.response) from error
    except SlackClientError as error:
        # Its upload raises this for whatever status the upload's own address answers.
        raise DeliveryError(receiver, type(error).__name__, recoverable=True) from error
    except urllib.error.HTTPError as error:
        # An upload's own address: slack_sdk reads the status of its methods only.
        sent_on = describe_redirect(error.code, error.headers.get("Location"))
        raise DeliveryError(receiver, sent_on or f"HTTP {error.code}", recoverable=not sent_on) from None
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(
            receiver, type(error).__name__, recoverable=True, perhaps_taken=is_perhaps_taken(error)
        ) from error
    except UnicodeDecodeError as error:
        raise _build_unreadable(receiver) from error
    except ValueError:
        # A token that cannot be a header: the error's text holds it, so neither it nor its cause is kept.
        raise DeliveryError(receiver, "token_is_no_header", recoverable=False) from None


def _judge(receiver: str, answer: Any) -> DeliveryError:
    """What Slack's answer means for the message: by its own code, or by the status where something else answered."""
    status = int(answer.status_code)
    after = read_retry_after(answer.headers.get("Retry-After"), answer.headers.get("Date"))
    # slack_sdk takes whatever is JSON for an object.
    code = str(answer.data.get("error", "unknown")) if isinstance(answer.data, dict) else ""
    if sent_on := describe_redirect(status, answer.headers.get("Location")):
        return DeliveryError(receiver, sent_on, recoverable=False)
    if not _CODE.fullmatch(code):
        # A proxy's page, or nothing at all: slack_sdk's words for it quote the page.
        code = f"HTTP {status}"
        if status < 300:  # noqa: PLR2004 (HTTP: done)
            return _build_unreadable(receiver)
    taken = code in _FAILED or may_be_done(status)
    return DeliveryError(
        receiver,
        code,
        recoverable=taken or code in _BUSY or may_heal(status),
        after_seconds=after,
        perhaps_taken=taken,
    )


def _build_unreadable(receiver: str) -> DeliveryError:
    """An answer that is none of Slack's: the message may be in the channel, and nobody knows under which handle."""
    return DeliveryError(receiver, "unreadable_answer", recoverable=True, perhaps_taken=True)
