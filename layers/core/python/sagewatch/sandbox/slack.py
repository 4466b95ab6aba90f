"""A local Slack: takes what the real one takes, refuses what it refuses, and keeps each message as JSON.

Methods: auth.test, chat.postMessage, chat.update, files.getUploadURLExternal, files.completeUploadExternal, the
upload itself, and incoming webhooks (`/services/...`). A message is a file `<number>-<channel>.json` that an update
rewrites: `posted`, `updates`, `thread_ts` and the content as it stands; what it said before stays in `versions/`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sagewatch.sandbox.processes import bound_socket
from sagewatch.sandbox.slack_clicks import Press, build_press, post_press
from sagewatch.sandbox.slack_rules import RefusedError, refuse_message
from sagewatch.sandbox.slack_server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

FIRST_TS = 1_700_000_000


@dataclass(slots=True)
class Message:
    """A message as the channel shows it."""

    number: int
    channel: str
    ts: str
    content: dict[str, Any]
    updates: int = 0


@dataclass(slots=True)
class Workspace:
    """What the local Slack knows. Its lock is the server's."""

    token: str
    channels: Mapping[str, str]
    messages: dict[str, Message] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def channel(self, name_or_id: str) -> str:
        """The id of a channel, given by name (with or without #) or id."""
        if name_or_id in self.channels.values():
            return name_or_id
        found = self.channels.get(name_or_id.removeprefix("#"))
        if found is None:
            raise RefusedError("channel_not_found")
        return found


class Slack:
    """The local Slack on 127.0.0.1.

    Parameters
    ----------
    directory
        Gets messages as JSON and uploaded files; made if absent.
    token
        The bot token that is accepted.
    channels
        Names of the channels that exist.
    port
        0 for a free one.

    Examples
    --------
    Give `url` to the receiver as the API's base, or `webhook_url("ml-on-call")` as an incoming webhook::

        with Slack(Path("out/slack")) as slack:
            ...
            slack.throttle(times=1, retry_after_seconds=1)
    """

    def __init__(
        self,
        directory: Path,
        *,
        token: str = "xoxb-local",  # noqa: S107  nobody's
        channels: tuple[str, ...] = ("ml-on-call",),
        port: int = 0,
    ) -> None:
        self.directory = directory
        self.token = token
        ids = {name: f"C{index:08d}" for index, name in enumerate(channels, start=1)}
        self._workspace = Workspace(token, ids)
        self.interactivity_url = ""
        self.signing_secret = "local-signing-secret"  # nobody's
        self.whispers: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._throttled: list[int] = []
        self._listener = bound_socket(port, "the local Slack")
        self._port = int(self._listener.getsockname()[1])
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._port

    @property
    def url(self) -> str:
        """The base of the Web API; ends with a slash, as https://slack.com/api/ does."""
        return f"http://127.0.0.1:{self._port}/api/"

    def webhook_url(self, channel: str) -> str:
        """The address of an incoming webhook into a channel."""
        return f"http://127.0.0.1:{self._port}/services/T00000000/B00000000/{channel.removeprefix('#')}"

    def start(self) -> None:
        """Begin to answer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._listener.listen(32)
        self._server = Server(self._listener, self)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        """End."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def throttle(self, *, times: int = 1, retry_after_seconds: int = 1) -> None:
        """Answer the next requests with 429 and Retry-After."""
        with self._lock:
            self._throttled += [retry_after_seconds] * times

    def messages(self) -> list[dict[str, Any]]:
        """All messages as the files hold them, in order of posting."""
        return [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.directory.glob("*.json"))
        ]

    def take_throttle(self) -> int | None:
        """Seconds to wait, if this request is to be refused."""
        with self._lock:
            return self._throttled.pop(0) if self._throttled else None

    def call(self, method: str, arguments: Mapping[str, Any], token: str | None) -> dict[str, Any]:
        """One method of the Web API.

        Raises
        ------
        RefusedError
            With Slack's error code.
        """
        if token is None:
            raise RefusedError("not_authed")
        if token != self.token:
            raise RefusedError("invalid_auth")
        methods: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"user": "sagewatch", "team": "local", "bot_id": "B00000001"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "files.getUploadURLExternal": self._get_upload_url,
            "files.completeUploadExternal": self._complete_upload,
        }
        if method not in methods:
            raise RefusedError("unknown_method")
        with self._lock:
            return methods[method](arguments)

    def webhook(self, channel: str, message: Mapping[str, Any]) -> None:
        """What an incoming webhook gets."""
        with self._lock:
            self._post({**message, "channel": channel})

    def answer_press(self, message: Mapping[str, Any]) -> None:
        """An answer that only the person who pressed sees."""
        with self._lock:
            self.whispers.append(dict(message))

    def click(
        self,
        action: str,
        *,
        user: tuple[str, str] = ("U00000001", "ada"),
        number: int = -1,
        at: float | None = None,
    ) -> Press:
        """Somebody presses a button of a message (by default the last one); needs ``interactivity_url``.

        Raises
        ------
        NoSuchButtonError
            The message has no such button.
        """
        moment = time.time() if at is None else at  # noqa: TID251  an edge
        answer_to = f"http://127.0.0.1:{self._port}/actions/T00000000/1/x"
        body = build_press(self.messages()[number], action, user, moment, answer_to)
        return post_press(self.interactivity_url, body, self.signing_secret, moment)

    def receive_file(self, file_id: str, content: bytes) -> None:
        """The upload itself, to the address that getUploadURLExternal gave."""
        with self._lock:
            if file_id not in self._workspace.uploads:
                raise RefusedError("file_not_found")
            directory = self.directory / "files"
            directory.mkdir(exist_ok=True)
            name = re.sub(r"[^A-Za-z0-9._-]", "_", self._workspace.uploads[file_id])
            (directory / f"{file_id}-{name}").write_bytes(content)
            self._workspace.files[file_id] = name

    def _refuse(self, message: Mapping[str, Any]) -> None:
        refused = refuse_message(message, tuple(self._workspace.files))
        if refused:
            raise RefusedError(*refused)

    def _post(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel", "")))
        self._refuse(arguments)
        thread = arguments.get("thread_ts")
        if thread is not None and thread not in self._workspace.messages:
            raise RefusedError("thread_not_found")
        number = len(self._workspace.messages) + 1
        message = Message(number, channel, f"{FIRST_TS + number}.{number:06d}", dict(arguments))
        self._workspace.messages[message.ts] = message
        self._keep(message)
        return {"channel": channel, "ts": message.ts, "message": message.content}

    def _update(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel", "")))
        message = self._workspace.messages.get(str(arguments.get("ts")))
        if message is None or message.channel != channel:
            raise RefusedError("message_not_found")
        self._refuse(arguments)
        message.content = {**message.content, **arguments}
        message.updates += 1
        self._keep(message)
        return {"channel": channel, "ts": message.ts, "text": arguments.get("text", "")}

    def _get_upload_url(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if not arguments.get("filename") or not arguments.get("length"):
            raise RefusedError("invalid_arguments")
        file_id = f"F{len(self._workspace.uploads) + 1:08d}"
        self._workspace.uploads[file_id] = str(arguments["filename"])
        return {"upload_url": f"http://127.0.0.1:{self._port}/upload/{file_id}", "file_id": file_id}

    def _complete_upload(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        wanted = arguments.get("files") or []
        files = json.loads(wanted) if isinstance(wanted, str) else wanted
        for file in files:
            if file["id"] not in self._workspace.files:
                raise RefusedError("file_not_found")
        if arguments.get("channel_id") or arguments.get("channels"):
            channel = self._workspace.channel(str(arguments.get("channel_id") or arguments.get("channels")))
            shared = {"channel": channel, "text": arguments.get("initial_comment") or "files", "files": files}
            if arguments.get("thread_ts"):
                shared["thread_ts"] = arguments["thread_ts"]
            self._post(shared)
        return {"files": [{"id": file["id"], "title": file.get("title", "")} for file in files]}

    def _keep_reply(self, channel: str, message: Message, content: Mapping[str, Any]) -> None:
        """A reply stands in its thread, not among the channel's messages."""
        threads = self.directory / "threads"
        threads.mkdir(exist_ok=True)
        kept = {"channel": channel, "ts": message.ts, **content}
        path = threads / f"{content['thread_ts']}-{message.number:04d}.json"
        _write(path, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")

    def replies(self) -> list[dict[str, Any]]:
        """All replies as the files hold them, thread by thread, in order of posting."""
        paths = sorted((self.directory / "threads").glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def _keep(self, message: Message) -> None:
        name = next(name for name, found in self._workspace.channels.items() if found == message.channel)
        content = {
            key: value for key, value in message.content.items() if key not in {"channel", "ts", "token"}
        }
        if content.get("thread_ts") is not None:
            self._keep_reply(name, message, content)
            return
        kept = {"channel": name, "ts": message.ts, "updates": message.updates, **content}
        text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
        versions = self.directory / "versions"
        versions.mkdir(exist_ok=True)
        for path in (
            self.directory / f"{message.number:04d}-{name}.json",
            versions / f"{message.number:04d}-{name}-{message.updates:02d}.json",
        ):
            _write(path, text)


def _write(path: Path, text: str) -> None:
    """A file that is there whole or not at all: others read while messages come."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
