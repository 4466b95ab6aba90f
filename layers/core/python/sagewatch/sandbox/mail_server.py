"""The mail server of the local AWS: SMTP on 127.0.0.1 that refuses what real ones refuse; what it takes is a file.

What SNS and SES accept to send arrives here as it would at the readers' own server. Beside the plain text, which is
for people to read, lies the whole mail (``.eml``), which any mail program opens with its pictures.

Source: RFC 5321 (commands, order, replies, limits), RFC 1870 (SIZE), RFC 3463 (enhanced codes).
"""

from __future__ import annotations

import logging
import re
import socketserver
import threading
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sagewatch.sandbox.mail_rules import find_refused_address, find_refused_mail
from sagewatch.sandbox.processes import bound_socket

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LOG = logging.getLogger(__name__)
SIZE_LIMIT_BYTES: Final = 25 * 1024 * 1024
"""What the usual mailboxes take; SES itself would send more."""
MOST_RECIPIENTS: Final = 100
COMMAND_LIMIT: Final = 512
_LINE_READ: Final = 1 << 16
_END: Final = b"\r\n"
_PATH: Final = re.compile(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", re.IGNORECASE)


class _Over(Exception):  # noqa: N818 (no error: the talk is over)
    """The other side has said QUIT, or is gone."""


class _Session(socketserver.StreamRequestHandler):
    """One talk: commands in their order, each answered."""

    server: MailServer
    timeout = 30

    def handle(self) -> None:
        """Greet, and answer until it is over."""
        self._greeted = False
        self._sender: str | None = None
        self._to: list[str] = []
        self._reply("220 localhost ESMTP Sagewatch sandbox")
        try:
            while True:
                self._reply(self._answer(self._read_command()))
        except (_Over, OSError):
            return

    def _answer(self, line: bytes) -> str:
        if not line.endswith(_END) or b"\0" in line or not line.isascii():
            return "500 5.5.2 A command is one line of at most 512 octets of ASCII that ends with CR LF"
        verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
        answers = {"MAIL": self._begin, "RCPT": self._address, "DATA": self._take}
        match verb.upper():
            case "EHLO" | "HELO" if rest:
                self._greeted = True
                self._forget()
                more = (
                    f"250-localhost\r\n250-SIZE {SIZE_LIMIT_BYTES}\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
                )
                return more if verb.upper() == "EHLO" else "250 localhost"
            case "EHLO" | "HELO":
                return "501 5.5.4 Say who you are"
            case "NOOP" | "RSET":
                if verb.upper() == "RSET":
                    self._forget()
                return "250 2.0.0 Ok"
            case "QUIT":
                self._reply("221 2.0.0 Bye")
                raise _Over
            case name if name in answers:
                return answers[name](rest) if self._greeted else "503 5.5.1 Say EHLO first"
        return "502 5.5.1 There is no such command here"

    def _begin(self, rest: str) -> str:
        if self._sender is not None:
            return "503 5.5.1 There is a sender already"
        match = _PATH.fullmatch(rest)
        if match is None or not rest.upper().startswith("FROM:"):
            return "501 5.5.4 Must be MAIL FROM:<address>"
        size = re.search(r"\bSIZE=(\d+)", match[2], re.IGNORECASE)
        if size and int(size[1][:20]) > SIZE_LIMIT_BYTES:
            return f"552 5.3.4 A mail has at most {SIZE_LIMIT_BYTES} octets"
        if match[1] and (wrong := find_refused_address(match[1])):
            return f"553 5.1.7 {wrong}"
        self._sender = match[1]
        return "250 2.1.0 Ok"

    def _address(self, rest: str) -> str:
        if self._sender is None:
            return "503 5.5.1 Say MAIL first"
        match = _PATH.fullmatch(rest)
        if match is None or not rest.upper().startswith("TO:"):
            return "501 5.5.4 Must be RCPT TO:<address>"
        if wrong := find_refused_address(match[1]):
            return f"553 5.1.3 {wrong}"
        if not self.server.has_mailbox(match[1]):
            return "550 5.1.1 There is no such mailbox here"
        if len(self._to) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        self._to.append(match[1])
        return "250 2.1.5 Ok"

    def _take(self, rest: str) -> str:
        if rest or not self._to:
            return "503 5.5.1 Say RCPT first" if not self._to else "501 5.5.4 DATA has no argument"
        self._reply("354 End with a line of a dot alone")
        lines, size = list[bytes](), 0
        for line in self._read_text():
            size += len(line)
            if size <= SIZE_LIMIT_BYTES:  # what is too large is read to its end, and not kept
                lines.append(line)
        sender, to = self._sender or "", tuple(self._to)
        self._forget()
        if size > SIZE_LIMIT_BYTES:
            return f"552 5.3.4 A mail has at most {SIZE_LIMIT_BYTES} octets"
        raw = b"".join(lines)
        if wrong := find_refused_mail(raw):
            return f"554 5.6.0 {wrong}"
        return f"250 2.0.0 Ok: queued as {self.server.deliver(sender, to, raw)}"

    def _forget(self) -> None:
        self._sender, self._to = None, []

    def _read_command(self) -> bytes:
        """The next line, of which at most 513 octets are kept: no rest of a long one is taken for a command."""
        line = self._read(COMMAND_LIMIT + 1)
        if len(line) <= COMMAND_LIMIT:
            return line
        while not line.endswith(b"\n"):
            line = self._read(_LINE_READ)
        return b""

    def _read_text(self) -> Iterator[bytes]:
        """The lines of a mail up to the dot, without the dots that were put before a line's own.

        Only CR LF ends a line (RFC 5321, 2.3.8): a dot behind a LF alone ends nothing, or what follows it would be
        commands to this server and text to the one that sent it.
        """
        begins = True  # whether the next octets begin a line
        while True:
            line = self._read(_LINE_READ)
            if begins and line == b".\r\n":
                return
            yield line[1:] if begins and line.startswith(b".") else line
            begins = line.endswith(_END)

    def _read(self, limit: int) -> bytes:
        line = self.rfile.readline(limit)
        if not line:
            raise _Over
        return line

    def _reply(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Mailboxes as files in a folder.

    Parameters
    ----------
    directory
        Gets the files; made if absent.
    mailboxes
        The addresses that there are; None: all.
    port
        0 for a free one.
    """

    daemon_threads = True

    def __init__(self, directory: Path, *, mailboxes: Collection[str] | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Session, bind_and_activate=False)
        self.socket.close()
        self.socket = bound_socket(port, "the local mail server")
        self.server_address = self.socket.getsockname()
        self.directory, self.port = directory, int(self.server_address[1])
        self._mailboxes, self._lock = mailboxes, threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        # What an earlier run took stays, and what comes sorts behind it.
        self._taken = max((read_number(path) for path in directory.glob("*.eml")), default=0)
        self.server_activate()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), name="mail server", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def has_mailbox(self, address: str) -> bool:
        """Whether somebody reads mail at the address."""
        return self._mailboxes is None or address.lower() in {one.lower() for one in self._mailboxes}

    def mails(self) -> list[Path]:
        """The texts of the mails, in order of arrival."""
        return sorted(self.directory.glob("*.txt"), key=read_number)

    def deliver(self, sender: str, to: tuple[str, ...], raw: bytes) -> str:
        """Keep a mail; the name under which it is kept."""
        mail = message_from_bytes(raw, EmailMessage, policy=default)
        with self._lock:
            self._taken += 1
            name = file_name(self._taken, str(mail["Subject"] or ""))
        (self.directory / f"{name}.eml").write_bytes(raw)
        (self.directory / f"{name}.txt").write_text(render_mail(mail), encoding="utf-8")
        LOG.info("mail_received %s from %s for %d", name, sender, len(to))
        return name


def render_mail(mail: EmailMessage) -> str:
    """The mail as a person reads it: the headers that matter, an empty line, the text."""
    headers = "".join(f"{name}: {mail[name]}\n" for name in ("From", "To", "Subject", "Date"))
    text = mail.get_body(("plain", "html"))
    return headers + "\n" + (_read_words(text) if text is not None else "")


def _read_words(text: MIMEPart) -> str:
    """The part's text; where its charset is none, whatever of it is ASCII."""
    try:
        words = str(text.get_content())
    except (LookupError, ValueError):  # LookupError: no codec has the charset's name; ValueError: nor can any
        payload = text.get_payload(decode=True)
        words = payload.decode("ascii", "replace") if isinstance(payload, bytes) else ""
    return words.replace("\r\n", "\n")


def read_number(path: Path) -> int:
    """A mail's place in the order of arrival, from its file's name; 0 for a file that is no mail's.

    Examples
    --------
    >>> read_number(Path("0003-firing.eml")), read_number(Path("notes.eml"))
    (3, 0)
    """
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def file_name(number: int, subject: str) -> str:
    """The name of a mail's files: it sorts by arrival and tells the subject.

    Examples
    --------
    >>> file_name(3, "[FIRING] traffic-signs: class 14")
    '0003-firing-traffic-signs-class-14'
    """
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:60].rstrip("-")
    return f"{number:04d}-{words or 'mail'}"
