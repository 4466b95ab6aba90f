"""The local mail server, over SMTP: what real ones refuse is refused by their codes, and all of ours arrives."""

from __future__ import annotations

import smtplib
import socket
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default

import boto3
import pytest
from moto.ses.models import SESBackend

from sagewatch.alert.html_mail import render_html_mail
from sagewatch.alert.mail import render_mail
from sagewatch.alert.outbox import Kind
from sagewatch.aws.ses import SesLetters
from sagewatch.incident.describe import KINDS
from sagewatch.sandbox.inbox import SENDER_ADDRESS, build_mail, send_mail
from sagewatch.sandbox.mail_server import MailServer
from sagewatch.sandbox.moto_gaps.mail_limits import deliver_letters, refuse_letters
from tests.aws_in_process import empty_aws
from tests.unit.alert.story import HOSTILE, announce, announce_hostile

SENDER, TO = "sagewatch@example.com", "ml-on-call@example.com"
HEAD = b"From: sagewatch@example.com\r\nTo: ml-on-call@example.com\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nSubject: x\r\n"


@pytest.fixture
def server(tmp_path):
    with MailServer(tmp_path / "mail", mailboxes={TO}) as server:
        yield server


@pytest.fixture
def smtp(server):
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="localhost", timeout=10) as smtp:
        yield smtp


def test_a_mail_arrives_as_it_was_sent_and_as_a_person_reads_it(smtp, server):
    smtp.sendmail(SENDER, [TO], HEAD + b"\r\n.one dot stays\r\nlast\r\n")
    (text,) = server.mails()
    assert text.name == "0001-x.txt"
    assert text.read_text(encoding="utf-8").endswith("\n\n.one dot stays\nlast\n")
    assert text.with_suffix(".eml").read_bytes() == HEAD + b"\r\n.one dot stays\r\nlast\r\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"To: a@b.example\r\nDate: x\r\n\r\nx", b"'From'"),
        (HEAD.replace(b"Date", b"X-Date") + b"\r\nx", b"'Date'"),
        (HEAD + b"Subject: again\r\n\r\nx", b"'Subject'"),
        (HEAD + b"X-Name: caf\xc3\xa9\r\n\r\nx", b"ASCII"),
        (HEAD + b"\r\n" + b"x" * 999, b"998"),
    ],
    ids=["no sender", "no date", "two subjects", "bytes in a header", "a long line"],
)
def test_a_mail_that_is_none_is_refused_for_good(smtp, server, raw, told):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail(SENDER, [TO], raw)
    assert refused.value.smtp_code == 554
    assert told in refused.value.smtp_error
    assert server.mails() == []


def test_a_line_that_ends_with_lf_alone_is_refused(server):
    """smtplib mends it on its way, so it is said by hand."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as talk:
        answers = talk.makefile("rb")
        answers.readline()
        said = (b"HELO x", b"MAIL FROM:<s@example.com>", b"RCPT TO:<ml-on-call@example.com>", b"DATA")
        for line in said:
            talk.sendall(line + b"\r\n")
            answers.readline()
        talk.sendall(HEAD + b"\r\none\ntwo\r\n.\r\n")
        assert answers.readline().startswith(b"554 5.6.0 A line ends with LF alone")
        talk.sendall(b"x" * 600 + b"\r\n")
        assert answers.readline().startswith(b"500")


@contextmanager
def talking(server, *said):
    """A talk by hand: yields a way to say something and hear the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as talk:
        answers = talk.makefile("rb")
        answers.readline()

        def say(words):
            talk.sendall(words)
            return answers.readline()

        for line in said:
            assert say(line + b"\r\n")[:1] in b"23", line
        yield say


BEGIN = (b"HELO x", b"MAIL FROM:<s@example.com>", b"RCPT TO:<ml-on-call@example.com>", b"DATA")


@pytest.mark.parametrize("length", [511, 512, 600, 70_000, 200_000])
def test_no_rest_of_a_line_that_is_too_long_is_a_command(server, length):
    with talking(server, *BEGIN[:3]) as say:
        assert say(b"NOOP " + b"x" * (length - 5) + b"QUIT\r\n").startswith(b"500")
        assert say(b"DATA\r\n").startswith(b"354")


def test_a_line_of_512_octets_is_a_command(server):
    with talking(server) as say:
        assert say(b"NOOP " + b"x" * 505 + b"\r\n").startswith(b"250")


@pytest.mark.parametrize("line", [b"NO\0OP\r\n", b"NOOP \xc3\xa9\r\n", b"NOOP\n"])
def test_a_command_is_ascii_without_nul_and_ends_with_both(server, line):
    with talking(server) as say:
        assert say(line).startswith(b"500")


@pytest.mark.parametrize("before", [b"\n", b"\r", b"\n\r"])
def test_a_dot_behind_half_an_end_of_line_ends_no_mail(server, before):
    """Else what follows it would be the commands of a second mail, from whomever it likes ("SMTP smuggling")."""
    second = (
        b"MAIL FROM:<boss@example.com>\r\nRCPT TO:<ml-on-call@example.com>\r\nDATA\r\n"
        + HEAD
        + b"\r\nsmuggled"
    )
    with talking(server, *BEGIN) as say:
        answer = say(HEAD + b"\r\none" + before + b".\r\n" + second + b"\r\n.\r\n")
        assert answer.startswith(b"554 5.6.0 A line ends with")
        assert say(b"NOOP\r\n").startswith(b"250 2.0.0")
    assert server.mails() == []


def test_a_nul_is_no_text(server):
    with talking(server, *BEGIN) as say:
        assert say(HEAD + b"\r\none\0two\r\n.\r\n").startswith(b"554 5.6.0 A NUL")


@pytest.mark.parametrize("charset", [b"none-such", b"utf-7\xc2", b"idna", b"rot13"])
def test_a_mail_of_a_charset_that_nobody_has_is_kept_as_it_came(smtp, server, charset):
    charset = charset.decode("ascii", "ignore").encode()
    raw = HEAD + b"Content-Type: text/plain; charset=" + charset + b"\r\n\r\nwords +AA\r\n"
    smtp.sendmail(SENDER, [TO], raw)
    (text,) = server.mails()
    assert text.with_suffix(".eml").read_bytes() == raw
    assert "words" in text.read_text(encoding="utf-8")


def test_mails_of_an_earlier_run_stay_and_come_first(tmp_path):
    for subject in (b"first", b"second"):
        with (
            MailServer(tmp_path / "mail") as server,
            smtplib.SMTP("127.0.0.1", server.port, local_hostname="localhost", timeout=10) as smtp,
        ):
            smtp.sendmail(SENDER, [TO], HEAD.replace(b"Subject: x", b"Subject: " + subject) + b"\r\nx")
            kept = [path.name for path in server.mails()]
    assert kept == ["0001-first.txt", "0002-second.txt"]


def test_a_size_beyond_the_limit_is_refused_before_and_after(smtp, server, monkeypatch):
    monkeypatch.setattr("sagewatch.sandbox.mail_server.SIZE_LIMIT_BYTES", 10_000)
    raw = HEAD + b"\r\n" + b"x" * 70 + (b"\r\n" + b"x" * 70) * 200
    with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
        smtp.sendmail(SENDER, [TO], raw)
    smtp.mail(SENDER)
    smtp.rcpt(TO)
    assert smtp.data(raw)[0] == 552
    assert server.mails() == []


@pytest.mark.parametrize(
    "address",
    ["two words@example.com", "caf\u00e9@example.com", ".dot@example.com", "nobody", "a@-b.example"],
)
def test_an_address_that_is_none_is_refused(smtp, address):
    smtp.ehlo()
    smtp.mail(SENDER)
    code, _ = (
        smtp.docmd("RCPT", f"TO:<{address}>") if address.isascii() else smtp.docmd("RCPT", "TO:<caf?@?>")
    )
    assert code == 553


def test_whoever_has_no_mailbox_gets_no_mail(smtp, server):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        smtp.sendmail(SENDER, ["stranger@example.com"], HEAD + b"\r\nx")
    assert refused.value.recipients["stranger@example.com"][0] == 550
    assert server.mails() == []


def test_what_comes_out_of_its_order_is_refused(smtp):
    assert smtp.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 503
    smtp.ehlo()
    assert smtp.docmd("RCPT", f"TO:<{TO}>")[0] == 503
    assert smtp.docmd("DATA")[0] == 503
    assert smtp.docmd("VRFY", "x")[0] == 502
    smtp.mail(SENDER)
    assert smtp.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 503


def test_a_server_that_is_gone_is_a_bounce_too(tmp_path, caplog):
    with MailServer(tmp_path / "mail") as server:
        port = server.port
    with caplog.at_level("WARNING", "sagewatch.sandbox.inbox"):
        send_mail(port, SENDER, [TO], HEAD + b"\r\nx")
    assert "mail_bounced" in caplog.text


def test_a_refusal_is_a_bounce_for_who_sends_for_others(server, caplog):
    with caplog.at_level("WARNING", "sagewatch.sandbox.inbox"):
        send_mail(server.port, SENDER, ["stranger@example.com"], HEAD + b"\r\nx")
    assert "mail_bounced" in caplog.text


@pytest.mark.parametrize("finding_kind", KINDS)
def test_every_mail_of_ours_arrives_with_its_text(server, monkeypatch, finding_kind):
    """Both ways: what SNS makes of a notification, and what SES sends as it is, with the fields that it adds."""
    monkeypatch.setattr(
        SESBackend, "send_raw_email", refuse_letters(deliver_letters(SESBackend.send_raw_email, server.port))
    )
    announcements = [announce(kind, finding_kind) for kind in Kind]
    announcements += [announce_hostile(Kind.FIRING, finding_kind, text) for text in HOSTILE.values()]
    with empty_aws():
        boto3.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        for number, one in enumerate(announcements):
            text = render_mail(one)
            notification = {
                "Subject": text.subject, "Message": text.body, "Timestamp": "2026-11-23T12:00:00.000Z",
                "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alerts", "MessageId": str(number),
            }  # fmt: skip
            send_mail(server.port, SENDER_ADDRESS, [TO], build_mail(notification, TO).as_bytes())
            SesLetters().send_letter(
                "on-call/html_mail", SENDER, [TO], render_html_mail(one, SENDER, [TO], "ab")
            )
    arrived = server.mails()
    assert len(arrived) == 2 * len(announcements)
    letter = message_from_bytes(arrived[1].with_suffix(".eml").read_bytes(), policy=default)
    assert [part.get_content_type() for part in letter.walk()][:2] == ["multipart/alternative", "text/plain"]
    assert letter["Date"]
    assert letter["Message-ID"].endswith("amazonses.com>")
