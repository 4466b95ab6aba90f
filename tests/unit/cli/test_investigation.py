"""The investigation in the docs is what the commands say, line by line: run anew with UPDATE_GOLDEN=1."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from sagewatch.cli import cli
from tests.unit.cli.investigation import INCIDENT, open_night, write_night

ROOT = Path(__file__).parents[3]
DOC = ROOT / "docs" / "investigation.md"
BLOCK = re.compile(r"```console\n\$ (.*?)\n(.*?)```", re.DOTALL)


def test_the_investigation_in_the_docs_is_what_the_commands_say(tmp_path, monkeypatch):
    write_night(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    store = open_night(tmp_path)

    def run(found):
        result = CliRunner().invoke(cli, shlex.split(found[1])[1:], obj=store)
        assert result.exit_code == 0, (found[1], result.output, result.exception)
        lines = "\n".join(line.rstrip() for line in result.output.rstrip().splitlines())
        return f"```console\n$ {found[1]}\n{lines}\n```"

    before = DOC.read_text()
    after = BLOCK.sub(run, before)
    if os.environ.get("UPDATE_GOLDEN"):  # noqa: TID251 - a switch of the tests, not of the product
        DOC.write_text(after)
        before = after
    assert before == after
    assert before.count("$ sagewatch") >= 8
    assert INCIDENT in before


def test_the_readme_shows_the_beginning_of_it():
    readme, whole = (ROOT / "README.md").read_text(), DOC.read_text()
    begin, end = "<!-- investigation:begin -->", "<!-- investigation:end -->"
    shown = readme.split(begin)[1].split(end)[0]
    blocks = [found[0] for found in BLOCK.finditer(shown)]
    assert len(blocks) >= 3
    assert [block for block in blocks if block not in whole] == []


def test_every_step_of_the_night_is_explained_in_words(tmp_path, monkeypatch):
    write_night(tmp_path)
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli, ["explain", INCIDENT], obj=open_night(tmp_path)).output
    steps = [line.partition("UTC  ")[2].partition(" [")[0] for line in told.splitlines() if " [" in line]
    assert len(steps) >= 15
    assert [step for step in steps if not step[:1].isupper() or ", because " not in step] == []
    # A reason that has no words of its own is told as its code, without the underscores.
    codes = re.findall(r"because ([a-z ]+)(?:; .*)?\. \[([a-z_]+),", told)
    assert {code for words, code in codes if words == code.replace("_", " ")} == set()
