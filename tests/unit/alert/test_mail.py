from __future__ import annotations

import re

import msgspec
import pytest

from sagewatch.alert.mail import BODY_LIMIT_BYTES, SUBJECT_LIMIT, render_mail
from sagewatch.alert.outbox import Kind
from sagewatch.incident.describe import KINDS
from tests.unit.alert.story import HOSTILE, announce, announce_by_hand, announce_hostile
from tests.unit.golden.golden import check_golden
from tests.unit.incident.story import build_incident, resolve


def check_limits(mail):
    assert mail.subject.isascii()
    assert mail.subject.isprintable()
    assert mail.subject[0] == "["
    assert len(mail.subject) <= SUBJECT_LIMIT < 100
    assert len(mail.body.encode()) <= BODY_LIMIT_BYTES
    # Of what nobody sees: the joiner of emoji, and what sets a right-to-left name apart.
    assert all(line.isprintable() for line in re.sub("[\u200d\u2068\u2069]", "", mail.body).split("\n"))


@pytest.mark.parametrize("finding_kind", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_mail_reads_as_it_was_looked_at(kind, finding_kind):
    mail = render_mail(announce(kind, finding_kind))
    check_limits(mail)
    check_golden(f"mail/{finding_kind}.{kind}.txt", f"Subject: {mail.subject}\n\n{mail.body}")


@pytest.mark.parametrize("finding_kind", [*KINDS, "a-kind-of-tomorrow"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_cannot_break_a_limit(name, finding_kind):
    known = finding_kind if finding_kind in KINDS else "class-concentration"
    announcement = announce_hostile(Kind.RESOLVED, known, HOSTILE[name])
    incident = announcement.incident
    finding = msgspec.structs.replace(incident.latest, kind=finding_kind)
    announcement = msgspec.structs.replace(
        announcement, incident=msgspec.structs.replace(incident, kind=finding_kind, findings=(finding,))
    )
    mail = render_mail(announcement)
    check_limits(mail)
    assert len(mail.body) < 8000
    if finding_kind == "class-concentration":
        check_golden(f"mail/hostile.{name}.txt", f"Subject: {mail.subject}\n\n{mail.body}")


def test_line_end_in_a_name_cannot_begin_a_header():
    mail = render_mail(announce_hostile(Kind.FIRING, "class-concentration", HOSTILE["control"]))
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject + mail.body


def test_firing_of_an_incident_that_is_over_says_so():
    announcement = msgspec.structs.replace(
        announce(Kind.FIRING, "class-concentration"), incident=resolve(build_incident())
    )
    mail = render_mail(announcement)
    assert mail.subject.startswith("[FIRING]")
    assert "It is over already" in mail.body


def test_what_resolved_it_is_named():
    over = announce(Kind.RESOLVED, "class-concentration")
    assert "by the evidence" in render_mail(over).body
    by_hand = msgspec.structs.replace(over.incident, resolved_by="ada")
    assert "by ada" in render_mail(msgspec.structs.replace(over, incident=by_hand)).body


def test_who_ended_it_by_hand_and_why_is_the_headline_and_no_recovery_is_claimed():
    mail = render_mail(announce_by_hand())
    check_golden("mail/by-hand.txt", f"Subject: {mail.subject}\n\n{mail.body}")
    assert "Resolved by ada: The camera was turned" in mail.subject
    assert "back to its usual share" not in mail.body


RIGHT_TO_LEFT = "\u05e1\u05db\u05d5\u05dd \u202e18"


@pytest.mark.parametrize("kind", ["data-quality", "class-concentration"])
def test_figures_stay_beside_the_right_to_left_name_they_belong_to(kind):
    body = render_mail(announce_hostile(Kind.FIRING, kind, RIGHT_TO_LEFT * 20)).body
    assert "\u2068\u05e1\u05db\u05d5\u05dd" in body
    assert not any(mark in body for mark in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067")
    for line in body.splitlines():
        around = re.sub("\u2068[^\u2068\u2069]*\u2069", "", line)
        assert not re.search("[\u0590-\u08ff\u2068\u2069]", around), line


def test_the_subject_has_no_question_mark_for_a_mark_that_nobody_sees():
    subject = render_mail(announce_hostile(Kind.FIRING, "data-quality", "\u05d0")).subject
    assert subject.isascii()
    assert "[FIRING] ?: " in subject
