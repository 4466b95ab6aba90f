from __future__ import annotations

import json
import re

import msgspec
import pytest

from sagewatch.alert.buttons import build_buttons
from sagewatch.alert.content import Companion, Links
from sagewatch.alert.outbox import Kind
from sagewatch.alert.slack import BLOCKS_LIMIT, escape, render_reply, render_slack
from sagewatch.incident.amounts import clean_text
from sagewatch.incident.describe import KINDS
from sagewatch.incident.model import State
from sagewatch.sandbox.slack_rules import refuse_message
from tests.unit.alert.story import HOSTILE, announce, announce_by_hand, announce_hostile
from tests.unit.golden.golden import check_golden
from tests.unit.incident.story import at


def measure(text):
    return len(text.encode("utf-16-le")) // 2


def check_limits(message):
    assert 0 < measure(message["text"]) <= 4000
    assert 0 < len(message["blocks"]) <= 50
    for block in message["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 0 < measure(block["text"]["text"]) <= 150
            case "section":
                assert ("text" in block) != ("fields" in block)
                if "text" in block:
                    assert 0 < measure(block["text"]["text"]) <= 3000
                assert len(block.get("fields", ["one"])) in range(1, 11)
                assert all(0 < measure(field["text"]) <= 2000 for field in block.get("fields", ()))
            case "context":
                assert len(block["elements"]) in range(1, 11)
            case other:
                pytest.fail(f"a block of type {other}")


def find_texts(value):
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from [inside] if key == "text" and isinstance(inside, str) else find_texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from find_texts(inside)


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_message_reads_as_it_was_looked_at(kind, finding_kind):
    message = render_slack(announce(kind, finding_kind))
    check_limits(message)
    check_golden(
        f"slack/{finding_kind}.{kind}.json", json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    )


@pytest.mark.parametrize("finding_kind", KINDS)
def test_the_header_tells_a_reminder_and_an_end_from_a_new_alarm(finding_kind):
    """All that people see at first: Slack shows no ``text`` where there are blocks."""
    headers = {}
    for kind in Kind:
        message = render_slack(announce(kind, finding_kind))
        headers[kind] = message["blocks"][0]["text"]["text"]
        assert headers[kind] == message["text"]
    states = {kind: header.partition(" ")[2].partition(" · ")[0] for kind, header in headers.items()}
    assert states == {
        Kind.FIRING: "FIRING", Kind.UPDATED: "FIRING", Kind.RESOLVED: "RESOLVED", Kind.REPEATED: "STILL FIRING",
        Kind.WORSENED: "WORSE", Kind.DIGEST: "COMES AND GOES",
    }  # fmt: skip


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("name", [*HOSTILE, "marks"])
def test_all_texts_together_are_no_longer_than_slack_takes(name, finding_kind):
    """With long names, each sign of which is written as five, long links and a company of sixty."""
    text = HOSTILE.get(name, "&<>" * 3000)
    others = tuple(
        Companion(incident_id=f"20261121T203405Z-{number:016x}", headline=text, opened_at=at(1))
        for number in range(60)
    )
    long = dict.fromkeys(Links.__struct_fields__, f"https://example.com/{'x' * 2300}")
    announcement = msgspec.structs.replace(
        announce_hostile(Kind.RESOLVED, finding_kind, text),
        companions=others,
        links=Links(**{**long, "presigned_until": at(3600)}),
    )
    message = render_slack(announcement, build_buttons(announcement.incident, others, diagnosable=True))
    check_limits({**message, "blocks": message["blocks"][:-1]})
    assert refuse_message(message) is None
    assert (
        sum(map(measure, find_texts(message["blocks"]))) <= BLOCKS_LIMIT + 200
    )  # the buttons have words, too
    assert "|Incident page>" in json.dumps(message["blocks"])
    assert "*Next step*" in json.dumps(message["blocks"])


def test_the_lines_of_a_thread_read_as_they_were_looked_at():
    """What follows the first message: one line each time, with no block."""
    said = []
    for finding_kind in KINDS:
        for kind in (Kind.UPDATED, Kind.WORSENED, Kind.RESOLVED):
            message = render_reply(announce(kind, finding_kind))
            said.append(f"{finding_kind} {kind}: {message['text']}\n")
    firing = announce(Kind.UPDATED, "class-concentration")
    taken = msgspec.structs.replace(
        firing.incident, state=State.ACKNOWLEDGED, acknowledged_by="ada", acknowledged_at=at(300)
    )
    said.append(f"taken: {render_reply(msgspec.structs.replace(firing, incident=taken))['text']}\n")
    others = (Companion(headline="x", opened_at=at(1)),)
    joined = msgspec.structs.replace(firing, companions=others, reason="incident_joined")
    said.append(f"joined: {render_reply(joined)['text']}\n")
    check_golden("slack/thread.txt", "".join(said))


def test_who_ended_it_by_hand_and_why_is_the_headline_and_no_recovery_is_claimed():
    message = render_slack(announce_by_hand())
    check_limits(message)
    text = json.dumps(message, indent=2, ensure_ascii=False)
    check_golden("slack/by-hand.json", text + "\n")
    assert "Resolved by ada: The camera was turned" in message["text"]
    assert "back to its usual share" not in text


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_cannot_break_a_limit_or_mention_anybody(name, finding_kind):
    message = render_slack(announce_hostile(Kind.RESOLVED, finding_kind, HOSTILE[name]))
    check_limits(message)
    json.dumps(message).encode()
    for text in find_texts(message):
        # All that is left of Slack's own notation are the links that we made.
        ours = re.sub(r"<https://[^<>|]+\|[^<>|]+>", "", text)
        assert not re.search(r"[<>]", ours)
        assert not re.search(r"&(?!amp;|lt;|gt;)", ours)
    if finding_kind == "class-concentration":
        check_golden(f"slack/hostile.{name}.json", json.dumps(message, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", ["https://evil.example/login", "@here", "#general", "ada@example.com"])
def test_slack_is_told_to_make_nothing_of_plain_names(name):
    """Escaped or not: Slack makes links and mentions of its own of plain text, unless it is told not to."""
    announcement = announce_hostile(Kind.FIRING, "class-concentration", name)
    message, reply = render_slack(announcement), render_reply(announcement)
    assert (message["parse"], reply["parse"]) == ("none", "none")
    found = list(find_objects(message["blocks"], "mrkdwn"))
    assert any(name in one["text"] for one in found)
    assert all(one["verbatim"] is True for one in found)


def find_objects(value, kind):
    """The text objects of a kind, wherever they stand."""
    if isinstance(value, list):
        for inside in value:
            yield from find_objects(inside, kind)
    elif isinstance(value, dict):
        if value.get("type") == kind:
            yield value
        for inside in value.values():
            yield from find_objects(inside, kind)


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f1e9\U0001f1ea"],
)
def test_nothing_that_is_one_to_the_eye_is_cut_apart(cluster):
    for limit in range(2, 40):
        for cut in (escape(cluster * 20, limit), clean_text(cluster * 20, limit)):
            assert cut.endswith("…")
            assert cut.removesuffix("…") == cluster * cut.count(cluster)


def test_a_letter_under_a_thousand_accents_is_cut_all_the_same():
    assert 60 < len(clean_text("e" + "\u0301" * 1000, 100)) <= 100


def test_escape_is_never_cut_in_its_middle():
    for limit in range(1, 40):
        cut = escape("<&>" * 20, limit)
        assert measure(cut) <= limit
        assert re.fullmatch(r"(&lt;|&amp;|&gt;)*…", cut)


def test_text_that_just_fits_is_whole():
    assert escape("abc", 3) == "abc"
    assert escape("<", 4) == "&lt;"
    assert escape("🛑", 2) == "🛑"


def test_link_that_slack_would_refuse_is_left_out():
    announcement = msgspec.structs.replace(
        announce(Kind.FIRING, "no-data"),
        links=Links(
            page="javascript:alert(1)", presigned="https://x/" + "a" * 4000, metrics="https://m/?a|b>c"
        ),
    )
    message = render_slack(announcement)
    check_limits(message)
    shown = json.dumps(message)
    assert "javascript" not in shown
    assert "aaaa" not in shown
    assert "<https://m/?a%7Cb%3Ec|Metrics>" in shown
