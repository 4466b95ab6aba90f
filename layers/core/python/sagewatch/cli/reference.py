"""The reference of all commands, written from the commands themselves: ``python -m sagewatch.cli.reference``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

_INTRO = """# Commands

Written by `python -m sagewatch.cli.reference > docs/commands.md`; a test holds it equal to the commands, runs
the examples as they are written, those that need a stack on a local one. Of three it runs the same with other words:
`sandbox up` into a folder of its own, and of `demo` and `demo-tabular` the story without the command around it.

Exit codes of all: 0 done; 1 it was tried and failed, and the message says what to do; 2 the command or a
configuration file is wrong; 130 interrupted; 143 terminated. `--json` prints what a program reads.

A command that has `--live` sends and moves nothing real without it; a rehearsal (`drill`, `replay --from`) tells the receiver
`test`. Of the others, those that act on an incident tell its receivers, and `swaps off`, a silence and a resolve give an endpoint
that records its own configuration back.

Commands that work on a deployed stack find it by `--stack` (or `SAGEWATCH_STACK`) and take credentials and region as
every AWS tool does; with the variables that `sagewatch sandbox up` prints they work on the local one.
"""


def list_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name, in order of names."""
    for name, command in sorted(group.commands.items()):
        full = f"{prefix}{name}"
        if isinstance(command, click.Group):
            yield from list_commands(command, f"{full} ")
        else:
            yield full, command


def read_example(command: click.Command) -> str:
    """The example in a command's help."""
    return (command.epilog or "").removeprefix("Example: ")


def build_reference(group: click.Group) -> str:
    """The whole reference as Markdown."""
    return _INTRO + "".join(_build_section(name, command) for name, command in list_commands(group))


def _build_section(name: str, command: click.Command) -> str:
    rows = "".join(map(_build_row, command.params))
    table = f"\n| option | meaning |\n|---|---|\n{rows}" if rows else ""
    told = inspect.cleandoc(command.help or "")
    return f"\n## sagewatch {name}\n\n{told}\n\n```console\n$ {read_example(command)}\n```\n{table}"


def _build_row(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        shown = ", ".join(f"`{one}`" for one in parameter.opts)
        told = parameter.help or ""
        if isinstance(parameter.type, click.Choice):
            told = f"{told} One of {', '.join(map(str, parameter.type.choices))}.".strip()
        if parameter.show_default and isinstance(parameter.default, str | int | float):
            told = f"{told} Default: `{parameter.default}`.".strip()
        return f"| {shown} | {told.replace('|', chr(92) + '|')} |\n"
    return f"| `{parameter.make_metavar(click.Context(click.Command('x')))}` | |\n".replace("||", "|")


if __name__ == "__main__":
    from sagewatch.cli import cli

    click.echo(build_reference(cli), nl=False)
