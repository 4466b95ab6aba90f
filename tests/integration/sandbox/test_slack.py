"""The local Slack takes, refuses and keeps messages as the real one does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from sagewatch.sandbox.slack import Slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    with Slack(tmp_path / "slack", channels=("ml-on-call", "other")) as started:
        yield started


def post(url: str, body: bytes, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(
        url, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def call(slack: Slack, method: str, token: str | None = "xoxb-local", **arguments: Any) -> Any:
    headers = {"Content_Type": "application/json; charset=utf-8"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return json.loads(post(slack.url + method, json.dumps(arguments).encode(), **headers)[1])


def test_a_message_is_kept_and_updated_in_place(slack: Slack) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "firing"}}]
    posted = call(slack, "chat.postMessage", channel="#ml-on-call", text="firing", blocks=blocks)
    assert posted["ok"] is True
    reply = call(slack, "chat.postMessage", channel=posted["channel"], text="a reply", thread_ts=posted["ts"])
    assert reply["ok"] is True
    updated = call(
        slack, "chat.update", channel=posted["channel"], ts=posted["ts"], text="resolved", blocks=[]
    )
    assert updated["ok"] is True
    (first,), (second,) = slack.messages(), slack.replies()
    assert (first["text"], first["updates"], first["blocks"]) == ("resolved", 1, [])
    assert second["thread_ts"] == posted["ts"]
    assert sorted(path.name for path in slack.directory.glob("*.json")) == [
        "0001-ml-on-call.json",
    ]
    before = json.loads((slack.directory / "versions" / "0001-ml-on-call-00.json").read_text())
    assert before["text"] == "firing"


@pytest.mark.parametrize(
    ("token", "arguments", "error"),
    [
        (None, {"channel": "ml-on-call", "text": "x"}, "not_authed"),
        ("xoxb-wrong", {"channel": "ml-on-call", "text": "x"}, "invalid_auth"),
        ("xoxb-local", {"channel": "nowhere", "text": "x"}, "channel_not_found"),
        ("xoxb-local", {"channel": "ml-on-call"}, "no_text"),
        ("xoxb-local", {"channel": "ml-on-call", "text": "x", "thread_ts": "1.1"}, "thread_not_found"),
        (
            "xoxb-local",
            {
                "channel": "ml-on-call",
                "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
            },
            "invalid_blocks",
        ),
    ],
)
def test_what_slack_refuses_is_refused_and_not_kept(
    slack: Slack, token: str | None, arguments: dict[str, Any], error: str
) -> None:
    answer = call(slack, "chat.postMessage", token, **arguments)
    assert (answer["ok"], answer["error"]) == (False, error)
    assert slack.messages() == []


def test_a_throttled_request_is_told_when_to_come_back(slack: Slack) -> None:
    slack.throttle(times=1, retry_after_seconds=7)
    status, _, headers = post(slack.url + "auth.test", b"{}")
    assert (status, headers["Retry-After"]) == (429, "7")
    assert call(slack, "auth.test")["ok"] is True


def test_an_uploaded_picture_can_be_shown(slack: Slack) -> None:
    unknown = [{"type": "image", "alt_text": "map", "slack_file": {"id": "F1"}}]
    assert (
        call(slack, "chat.postMessage", channel="ml-on-call", text="x", blocks=unknown)["error"]
        == "invalid_blocks"
    )
    place = call(slack, "files.getUploadURLExternal", filename="map.png", length=4)
    assert post(place["upload_url"], b"\x89PNG")[0] == 200
    done = call(slack, "files.completeUploadExternal", files=[{"id": place["file_id"], "title": "map"}])
    assert done["files"] == [{"id": place["file_id"], "title": "map"}]
    known = [{"type": "image", "alt_text": "map", "slack_file": {"id": place["file_id"]}}]
    assert call(slack, "chat.postMessage", channel="ml-on-call", text="x", blocks=known)["ok"] is True
    (kept,) = (slack.directory / "files").iterdir()
    assert kept.read_bytes() == b"\x89PNG"


def test_a_webhook_posts_into_its_channel_and_refuses_in_plain_text(slack: Slack) -> None:
    assert post(slack.webhook_url("#other"), b'{"text": "hello"}')[:2] == (200, "ok")
    assert post(slack.webhook_url("#other"), b"not json")[:2] == (400, "invalid_payload")
    assert post(slack.webhook_url("#nowhere"), b'{"text": "hello"}')[:2] == (404, "channel_not_found")
    (message,) = slack.messages()
    assert (message["channel"], message["text"]) == ("other", "hello")


def test_a_reply_stands_in_its_thread_and_not_among_the_messages(slack):
    posted = call(slack, "chat.postMessage", channel="#ml-on-call", text="fire")
    call(slack, "chat.postMessage", channel="#ml-on-call", text="more", thread_ts=posted["ts"])
    assert [message["text"] for message in slack.messages()] == ["fire"]
    assert [reply["text"] for reply in slack.replies()] == ["more"]


def test_heat_maps_are_uploaded_into_the_thread_by_the_product(slack: Slack) -> None:
    from sagewatch.alert.content import Picture
    from sagewatch.aws.slack import SlackChat
    from sagewatch.monitors.receivers import SlackReceiver

    class Tokens:
        def get_secret(self, name: str) -> str:
            return "xoxb-local"

        refresh_secret = get_secret

    receiver = SlackReceiver(channel="#ml-on-call", token="sagewatch/slack", api_url=slack.url)
    chat = SlackChat({"ml-on-call": receiver}, Tokens())
    handle = chat.post_message("ml-on-call", {"text": "firing"})
    chat.upload_pictures("ml-on-call", handle, [Picture("Answered Stop", b"png-1"), Picture("<b>", b"png-2")])
    (reply,) = slack.replies()
    assert reply["thread_ts"] == handle.split(":")[1]
    assert [file["title"] for file in reply["files"]] == ["Answered Stop", "<b>"]
    kept = sorted((slack.directory / "files").iterdir())
    assert [path.read_bytes() for path in kept] == [b"png-1", b"png-2"]


def test_a_rotated_token_is_looked_up_once_more(slack: Slack) -> None:
    from sagewatch.alert.content import Picture
    from sagewatch.aws.slack import SlackChat
    from sagewatch.errors import DeliveryError
    from sagewatch.monitors.receivers import SlackReceiver

    class Tokens:
        fresh = "xoxb-local"

        def get_secret(self, name: str) -> str:
            return "xoxb-old"

        def refresh_secret(self, name: str) -> str:
            return self.fresh

    receiver = SlackReceiver(channel="#ml-on-call", token="sagewatch/slack", api_url=slack.url)
    tokens = Tokens()
    chat = SlackChat({"ml-on-call": receiver}, tokens)
    handle = chat.post_message("ml-on-call", {"text": "firing"})
    chat.upload_pictures("ml-on-call", handle, [Picture("Answered Stop", b"png")])
    assert [file["title"] for reply in slack.replies() for file in reply["files"]] == ["Answered Stop"]
    tokens.fresh = "xoxb-old"
    with pytest.raises(DeliveryError, match="invalid_auth"):
        chat.post_message("ml-on-call", {"text": "firing"})


def test_the_products_webhook_goes_over_http_and_what_slack_says_is_sorted(slack: Slack) -> None:
    from datetime import UTC, datetime

    from sagewatch.alert.outbox import Kind
    from sagewatch.alert.slack import render_slack
    from sagewatch.aws.http import HttpHooks
    from sagewatch.errors import DeliveryError
    from sagewatch.monitors.receivers import Receiver, SlackWebhookReceiver
    from tests.unit.alert.story import HOSTILE, announce_hostile

    addresses = {"good": slack.webhook_url("ml-on-call"), "gone": slack.webhook_url("nowhere")}
    receivers = {name: Receiver(slack_webhook=SlackWebhookReceiver(url=name)) for name in addresses}
    hooks = HttpHooks(receivers, lambda name: addresses[name])
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for text in HOSTILE.values():
        message = render_slack(announce_hostile(Kind.FIRING, "data-quality", text))
        hooks.post_hook("good/slack_webhook", message, now)
    assert len(slack.messages()) == len(HOSTILE)
    with pytest.raises(DeliveryError) as gone:
        hooks.post_hook("gone/slack_webhook", {"text": "x"}, now)
    assert not gone.value.recoverable
    assert addresses["gone"] not in str(gone.value)  # the address is the secret
    slack.throttle(times=1, retry_after_seconds=7)
    with pytest.raises(DeliveryError) as busy:
        hooks.post_hook("good/slack_webhook", {"text": "x"}, now)
    assert (busy.value.recoverable, busy.value.after_seconds) == (True, 7.0)
