"""What reaches a terminal: every command prints through here, so that no text from outside can do anything to it.

A captured class label may hold anything: an escape sequence that clears the screen, a line end with a forged line
behind it, a mark that turns the reading direction, rich's markup. It is shown as what it is.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ID_WIDTH = 33
"""Characters of an incident's id: a table keeps it whole at 80 columns, for it is what the next command is given."""
_WIDTH_OF_FILES = 160
_APART = re.compile("(\u2068[^\u2068\u2069]*\u2069)")
_JOINERS = "\u200c\u200d"  # of emoji and of Persian


def tell_path(path: str | Path) -> str:
    """A path as a person would type it here: from this folder on, where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def escape(text: str) -> str:
    r"""The text on one line, control characters and direction marks as escapes.

    Examples
    --------
    >>> escape("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    >>> escape("[/red] stays")
    '[/red] stays'
    """
    if text.isascii() and text.isprintable():
        return text
    # A name that is set apart to its end (``amounts.clean_text``) turns nothing around it.
    return "".join(
        f"{part[0]}{_escape(part[1:-1])}{part[-1]}" if number % 2 else _escape(part)
        for number, part in enumerate(_APART.split(text))
    )


def _escape(text: str) -> str:
    return "".join(_escape_character(one) for one in text)


def _escape_character(character: str) -> str:
    harmful = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if not harmful or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")


def say(text: str = "", *, err: bool = False) -> None:
    """One line."""
    click.echo(escape(text), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """Text of our own making whose line ends are meant; what it names from outside was put on one line before."""
    for line in text.rstrip("\n").split("\n"):
        say(line, err=err)


def cell(text: str, style: str = "") -> Text:
    """Text for a table or a console of rich's, taken as it is: no markup, no control over the terminal."""
    from rich.text import Text

    return Text("\n".join(escape(line) for line in text.split("\n")), style=style)


def make_console() -> Console:
    """Standard output for tables: as wide as the terminal, and wide enough for a table where it is a file."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_FILES)
