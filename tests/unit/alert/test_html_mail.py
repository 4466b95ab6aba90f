"""The mail with pictures: text first, HTML that no name can break, heat maps inside, every size bounded."""

from __future__ import annotations

import email
import email.policy
import html.parser
import re
import struct
import zlib

import msgspec
import pytest

from sagewatch.alert.content import Picture
from sagewatch.alert.html_mail import HTML_LIMIT_BYTES, SUBJECT_LIMIT, render_html_mail
from sagewatch.alert.outbox import Kind
from sagewatch.incident.describe import KINDS
from tests.unit.alert.story import HOSTILE, announce, announce_hostile
from tests.unit.golden.golden import check_golden

TO = ("ml-on-call@example.com", "ada@example.com")


def build_png():
    """The smallest picture: one black pixel."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )


PICTURES = (Picture("Answered Stop, 98% sure", build_png()), Picture("<b>&\"'", build_png()))


def render(announcement):
    raw = render_html_mail(announcement, "sagewatch@example.com", TO, "0f" * 8)
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


class Reader(html.parser.HTMLParser):
    """What a mail program would make of it."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.images, self.open = set(), [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        known = dict(attributes)
        assert not [name for name in known if name.startswith("on")]
        if tag == "a":
            self.links.append(known["href"])
        if tag == "img":
            self.images.append(known["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(raw, mail):
    """Whether every program and every server on the way takes it."""
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert len(str(mail["Subject"])) <= SUBJECT_LIMIT + 10  # folded
    assert b"\n" not in raw.replace(b"\r\n", b"")
    alternatives = list(mail.iter_parts())
    assert next(one.get_content_type() for one in alternatives) == "text/plain"
    page = mail.get_body(("html",)).get_content()
    assert len(page.encode()) <= HTML_LIMIT_BYTES
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert not reader.tags & {"script", "style", "svg", "iframe", "form", "link", "object", "b"}
    assert all(link.startswith("https://") for link in reader.links)
    inside = {part["Content-ID"].strip("<>") for part in mail.walk() if part["Content-ID"]}
    assert {image.removeprefix("cid:") for image in reader.images} == inside
    return page


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_mail_reads_as_it_was_looked_at(kind, finding_kind):
    raw, mail = render(announce(kind, finding_kind))
    page = check(raw, mail)
    check_golden(f"html_mail/{finding_kind}.{kind}.html", page)


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_break_neither_limit_nor_page_nor_header(name, finding_kind):
    announcement = announce_hostile(Kind.RESOLVED, finding_kind, HOSTILE[name])
    raw, mail = render(msgspec.structs.replace(announcement, pictures=PICTURES))
    check(raw, mail)
    assert mail["To"] == ", ".join(TO)
    assert len(mail.get_all("Subject")) == 1
    assert mail["Bcc"] is None


def test_heat_maps_are_inside_and_named():
    raw, mail = render(
        msgspec.structs.replace(announce(Kind.RESOLVED, "class-concentration"), pictures=PICTURES)
    )
    check(raw, mail)
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [part.get_content() for part in pictures] == [picture.png for picture in PICTURES]
    assert all(part.get_content_disposition() == "inline" for part in pictures)
    assert 'alt="Answered Stop, 98% sure"' in mail.get_body(("html",)).get_content()


def test_equal_announcements_are_equal_mails_of_one_thread():
    announcement = msgspec.structs.replace(announce(Kind.FIRING, "class-concentration"), pictures=PICTURES)
    first, mail = render(announcement)
    assert first == render(announcement)[0]
    assert re.fullmatch(r"<\w+@sagewatch\.invalid>", str(mail["References"]))


@pytest.mark.parametrize("cluster", ["\U0001f469\u200d\U0001f467", "e\u0301", "\u0645\u06cc\u200c\u062e"])
def test_a_subject_parts_no_emoji_and_no_word_of_persian(cluster):
    announcement = announce_hostile(Kind.RESOLVED, "class-concentration", cluster * 40)
    raw = render_html_mail(announcement, "sagewatch@example.com", ("ml-on-call@example.com",), "ab")
    subject = str(email.message_from_bytes(raw, policy=email.policy.default)["Subject"])
    name = subject.removeprefix("[RESOLVED] ").partition("…")[0]
    assert cluster in name
    if "\u062e" not in cluster:
        assert name == cluster * name.count(cluster)


def test_names_from_right_to_left_turn_round_no_figures_beside_them():
    announcement = announce(Kind.FIRING, "class-concentration")
    names = {"14": "قف", "38": "عبور"}
    page = check(*render(msgspec.structs.replace(announcement, class_names=names)))
    assert "14 (\u2068قف\u2069): 100 (83 %" in page
    assert "38 (\u2068عبور\u2069): 6 (" in page
    # Else a cell that begins with such a name would be one that is read from right to left.
    assert 'dir="' not in page


def test_what_is_cut_inside_a_name_from_right_to_left_sets_nothing_else_apart():
    announcement = announce_hostile(Kind.RESOLVED, "class-concentration", "قف" * 200)
    page = check(*render(announcement))
    texts = re.split(r"<[^>]*>", page)
    assert any("\u2068" in text for text in texts)
    assert all(text.count("\u2068") == text.count("\u2069") for text in texts)
    subject = str(render(announcement)[1]["Subject"])
    assert subject.count("\u2068") == subject.count("\u2069") > 0
