"""A person opens the inbox, the Slack and the pages of the local AWS; what is hostile in them stays text."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sagewatch.cli.sandbox import _build_sources
from sagewatch.sandbox.slack import Slack
from sagewatch.sandbox.viewer import RULES, Sources, Viewer, render
from tests.aws_in_process import empty_aws

HOSTILE = '<script>alert(1)</script>"&'
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;"
KEY = "incidents/20261121T203405Z-d70a35fb2065c43a/index.html"


def build(tmp_path, *, empty=False):
    mail = tmp_path / "0001-firing.txt"
    mail.write_text(f"Subject: firing\n\n{HOSTILE}")
    message = {"channel": "C1", "text": HOSTILE, "blocks": [{"text": HOSTILE}]}
    pages = {KEY: b"<html>the page</html>"}
    if empty:
        return Sources(list, list, list, pages.get)
    return Sources(lambda: [mail], lambda: [message], lambda: list(pages), pages.get)


def test_mails_and_messages_are_shown_as_text_whatever_they_hold(tmp_path):
    sources = build(tmp_path)
    for path in ("/inbox", "/slack/"):
        page = render(path, sources).decode()
        assert ESCAPED in page
        assert "<script" not in page
    assert "0001-firing" in render("/inbox", sources).decode()


def test_the_pages_of_incidents_are_listed_and_open_and_nothing_else_of_the_bucket_does(tmp_path):
    sources = build(tmp_path)
    assert f'href="/pages/{KEY}"' in render("/pages", sources).decode()
    assert render(f"/pages/{KEY}", sources) == b"<html>the page</html>"
    for path in ("/pages/incidents/x/manifest.json", "/inbox/../../etc/passwd", "/other"):
        assert render(path, sources) is None
    assert all(f'href="/{one}"' in render("/", sources).decode() for one in ("inbox", "slack", "pages"))


def test_before_anything_has_come_the_pages_say_so(tmp_path):
    for path in ("/inbox", "/slack", "/pages"):
        assert b"Nothing yet" in render(path, build(tmp_path, empty=True))


def test_the_command_shows_the_pages_of_the_stacks_own_bucket(tmp_path):
    with empty_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="evidence")
        for key in (KEY, "incidents/x/manifest.json"):
            s3.put_object(Bucket="evidence", Key=key, Body=b"<p>page</p>")
        stage = SimpleNamespace(
            aws=SimpleNamespace(client=lambda _: s3), outputs={"EvidenceBucket": "evidence"},
            inbox=SimpleNamespace(mails=list), slack=SimpleNamespace(messages=list),
        )  # fmt: skip
        sources = _build_sources(stage)
        assert sources.list_pages() == [KEY]
        assert render(f"/pages/{KEY}", sources) == b"<p>page</p>"


def test_no_page_may_run_a_script_or_load_anything():
    assert RULES.startswith("sandbox; default-src 'none'")
    assert "script" not in RULES


def ask(viewer, path, host=None):
    """Status, headers and body, as a browser gets them."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", viewer.server_port, timeout=5)) as line:
        line.request("GET", path, headers={"Host": host} if host else {})
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def test_a_browser_opens_every_page_by_its_printed_address(tmp_path):
    with Viewer(build(tmp_path)) as viewer:
        assert viewer.address("inbox") == f"http://127.0.0.1:{viewer.server_port}/inbox"
        for path, shown in (
            ("/", "inbox"),
            ("/inbox", ESCAPED),
            ("/slack", ESCAPED),
            ("/pages", KEY),
            (f"/pages/{KEY}", "the page"),
        ):
            status, headers, body = ask(viewer, path)
            assert (status, shown in body) == (200, True), path
            assert headers["Content-Security-Policy"] == RULES
            assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(viewer, "/other")[0] == 404
        # The second came through a tunnel, whose end has a port of its own.
        for host in (
            f"localhost:{viewer.server_port}",
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1",
            "[::1]:8080",
        ):
            assert ask(viewer, "/inbox", host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        "localhost:{port}@evil.example",
        "localhost:",
        "evil.example#localhost",
    ],
)
def test_whoever_came_by_another_name_reads_nothing(tmp_path, host):
    """A page of the internet may point its own name at this machine."""
    with Viewer(build(tmp_path)) as viewer:
        status, _, body = ask(viewer, "/inbox", host.format(port=viewer.server_port))
        assert status == 421
        assert ESCAPED not in body
        assert "answer to 127.0.0.1 and localhost alone" in body


def test_a_mail_in_another_encoding_is_shown_and_hides_no_other(tmp_path):
    strange = tmp_path / "0002-strange.txt"
    strange.write_bytes(b"Subject: gr\xfc\xdfe")
    sources = build(tmp_path)
    with Viewer(Sources(lambda: [*sources.mails(), strange], list, list, lambda _: None)) as viewer:
        status, _, body = ask(viewer, "/inbox")
    assert status == 200
    assert ESCAPED in body
    assert "Subject: gr\ufffd\ufffde" in body


@pytest.mark.parametrize("content", [f'["{HOSTILE[:8]}"]', "null", "17", '"words"'])
def test_a_slack_file_that_is_json_and_no_message_is_shown_as_that_and_hides_no_other(tmp_path, content):
    with Slack(tmp_path / "slack") as slack:
        (tmp_path / "slack" / "0000-strange.json").write_text(content)
        good = {"channel": "C1", "text": HOSTILE}
        sources = Sources(list, lambda: [*slack.messages(), good], list, lambda _: None)
        page = render("/slack", sources).decode()
    assert "A file that holds no message" in page
    assert ESCAPED in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError("gone"), "FileNotFoundError"),
        (json.JSONDecodeError("half", "{", 1), "JSONDecodeError"),
        (EndpointConnectionError(endpoint_url=f"http://{HOSTILE}"), "EndpointConnectionError"),
        (
            ClientError({"Error": {"Code": "NoSuchBucket", "Message": HOSTILE}}, "ListObjectsV2"),
            "ClientError",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/inbox", "/slack", "/pages", f"/pages/{KEY}"])
def test_what_cannot_be_read_now_is_a_page_that_says_so(path, error, told):
    def fail():
        raise error

    with Viewer(Sources(fail, fail, fail, lambda _: None)) as viewer:
        status, _, body = ask(viewer, path)
        assert ask(viewer, "/")[0] == 200
    assert status == 503
    assert f"It cannot be read now ({told}: " in body
    assert "<script" not in body


def test_a_message_is_in_its_file_whole_or_not_at_all(tmp_path, monkeypatch):
    """Whoever looks while Slack writes sees the messages before it."""
    written, seen = Path.write_text, []
    with Slack(tmp_path) as slack:

        def look(path, text, **named):
            written(path, text[:5], **named)
            seen.append(len(slack.messages()))
            return written(path, text, **named)

        monkeypatch.setattr(Path, "write_text", look)
        for text in ("one", "two"):
            slack.call("chat.postMessage", {"channel": "ml-on-call", "text": text}, slack.token)
        assert [one["text"] for one in slack.messages()] == ["one", "two"]
    assert seen == [0, 1, 1, 2]  # each message is written twice: as it stands, and as a version
