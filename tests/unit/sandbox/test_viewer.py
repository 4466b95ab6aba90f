"""A person opens the inbox, the Slack and the pages of the local AWS; what is hostile in them stays text."""

from __future__ import annotations

from types import SimpleNamespace

import boto3

from sagewatch.cli.sandbox import _build_sources
from sagewatch.sandbox.viewer import RULES, Sources, render
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
