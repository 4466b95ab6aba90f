"""What SNS, SES and mail servers refuse of a mail: the rules of the local mail services, as pure functions.

Sources: SNS API reference, Publish (Subject, Message); SES developer guide, "Sending raw email" and quotas; RFC 5322 (998
characters a line, fields that stand once).
"""

from __future__ import annotations

import re
from email import message_from_bytes
from typing import Final

SUBJECT_LIMIT: Final = 100
MESSAGE_LIMIT_BYTES: Final = 256 * 1024
LETTER_LIMIT_BYTES: Final = 40 * 1024 * 1024
LINE_LIMIT: Final = 998
_ONCE: Final = (
    "From",
    "Subject",
    "Date",
    "Message-ID",
    "To",
    "Cc",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
)
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
ADDRESS_LIMIT: Final = 254
# Begins with a letter, number or punctuation mark; printable ASCII throughout.
_SUBJECT: Final = re.compile(r"[!-~][ -~]*")


def find_refused_notification(subject: str | None, message: str) -> str:
    r"""Why SNS does not take a notification; empty where it does.

    Examples
    --------
    >>> find_refused_notification("[FIRING] signs", "text"), find_refused_notification("caf\u00e9", "text")
    ('', 'Subject')
    """
    if subject is not None and (len(subject) > SUBJECT_LIMIT or not _SUBJECT.fullmatch(subject)):
        return "Subject"
    if not message:
        return "Empty message"
    return "Message too long" if len(message.encode()) > MESSAGE_LIMIT_BYTES else ""


def find_refused_letter(raw: bytes) -> str:
    r"""Why SES does not take a raw mail; empty where it does.

    Examples
    --------
    >>> find_refused_letter(b"Subject: x\r\n\r\ntext")
    "Missing required header 'From'."
    """
    if len(raw) > LETTER_LIMIT_BYTES:
        return f"Message length is more than {LETTER_LIMIT_BYTES} bytes long: '{len(raw)}'."
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    if not head.isascii():
        return "Header contains characters that are not ASCII."
    if any(len(line) > LINE_LIMIT for line in re.split(rb"\r?\n", raw)):
        return f"A line is longer than {LINE_LIMIT} characters."
    letter = message_from_bytes(raw)
    for name in _ONCE:
        if len(letter.get_all(name, [])) > 1:
            return f"Duplicate header '{name}'."
    return "" if letter.get("From") else "Missing required header 'From'."


def find_refused_address(address: str) -> str:
    """Why a mail server takes no such address; empty where it does. Source: RFC 5321, 4.1.2 and 4.5.3.1.

    Examples
    --------
    >>> find_refused_address("on-call@example.com"), find_refused_address("on call@example.com")
    ('', 'Must be an address of ASCII letters such as on-call@example.com')
    """
    dots = address.startswith(".") or ".." in address or ".@" in address
    if dots or len(address) > ADDRESS_LIMIT or not _ADDRESS.fullmatch(address):
        return "Must be an address of ASCII letters such as on-call@example.com"
    return ""


def find_refused_mail(raw: bytes) -> str:
    r"""Why a mail server does not take a mail's text; empty where it does. Source: RFC 5322, 2.1.1, 2.3 and 3.6.

    Examples
    --------
    >>> find_refused_mail(b"From: a@b.example\r\nDate: x\r\n\r\none\ntwo")
    'A line ends with LF alone.'
    """
    if b"\0" in raw:
        return "A NUL is in it."
    if reason := find_refused_letter(raw):
        return reason
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw):
        return "A line ends with LF alone." if re.search(rb"(?<!\r)\n", raw) else "A line ends with CR alone."
    return "" if message_from_bytes(raw).get("Date") else "Missing required header 'Date'."
