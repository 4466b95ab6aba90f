"""Every command is in the reference with an example, and every example does what it says."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.reference import build_reference, list_commands, read_example
from tests.unit.cli.stores import build_store, write_files

ROOT = Path(__file__).parents[3]
COMMANDS = dict(list_commands(cli))
ELSEWHERE = {
    "dead-letters list": "tests/unit/cli/test_dead_letters.py",
    "dead-letters redrive": "tests/unit/cli/test_dead_letters.py",
    "deploy-endpoint": "tests/integration/sandbox/test_provisioning.py",
    "drill": "tests/integration/test_slack_buttons.py",
    "explain-tensors": "tests/unit/cli/test_explain_tensors.py",
    "doctor": "tests/integration/test_commands_on_stack.py",
    "monitor create": "tests/integration/monitoring/test_monitor_command.py",
    "monitor list": "tests/integration/monitoring/test_monitor_command.py",
    "monitor run": "tests/integration/monitoring/test_monitor_command.py",
    "monitor delete": "tests/integration/monitoring/test_monitor_command.py",
    "record": "tests/integration/test_commands_on_stack.py",
    "replays": "tests/integration/test_record_and_replay.py",
    "sandbox up": "tests/integration/test_commands_on_stack.py",
    "teardown": "tests/integration/sandbox/test_provisioning.py",
}
"""Commands that need more than memory, and the tests that run them."""
STORIES = {"demo", "demo-tabular"}
"""Commands whose story tests/e2e plays without the command around it; the reference says so."""
HERE = {
    "analyze", "baseline", "distributions", "explain", "incidents promote", "routes test", "swaps", "violations", "backtest", "check", "cost", "events list", "events resend", "events show", "incidents ack", "incidents list",
    "incidents open", "incidents report", "incidents resolve", "incidents show", "incidents silence", "render",
    "replay", "silences add", "silences end", "silences list", "tail", "trigger",
}  # fmt: skip
"""Commands whose example runs on a store in memory and the files of ``stores``."""
FAILS_ON_PURPOSE = {"analyze": 3}
"""Exit code of an example that is to show one: violations under --fail-on-violation."""


def test_the_reference_is_what_the_commands_say():
    told = (ROOT / "docs" / "commands.md").read_text()
    assert told == build_reference(cli), "python -m sagewatch.cli.reference > docs/commands.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_a_machine_readable_form(name):
    command = COMMANDS[name]
    assert read_example(command).startswith(f"sagewatch {name}")
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in ELSEWHERE])
def test_a_command_that_needs_more_is_run_elsewhere(name):
    assert runs_command((ROOT / ELSEWHERE[name]).read_text(), name.split())


def test_every_command_is_run_here_or_elsewhere_or_named():
    assert HERE | ELSEWHERE.keys() | STORIES == COMMANDS.keys()
    assert not (HERE & ELSEWHERE.keys())
    assert not (STORIES & (HERE | ELSEWHERE.keys()))
    told = (ROOT / "docs" / "commands.md").read_text()
    assert all(f"`{name}`" in told.partition("## ")[0] for name in STORIES)


def runs_command(source: str, words: list[str]) -> bool:
    """Whether a test's source calls something with the words of a command, at once or the group's and then its own."""
    said = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List):
            given = node.elts
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] not in {
            "startswith",
            "mktemp",
        }:
            given = node.args
        else:
            continue
        texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        said.append(texts)
    whole = any(texts[: len(words)] == words for texts in said)
    return whole or all(any(texts[:1] == [word] for texts in said) for word in words)


def test_a_source_that_only_mentions_a_command_does_not_run_it():
    assert runs_command('run(stack, "record", "--from")', ["record"])
    assert runs_command('invoke(cli, ["monitor", *words])\nmonitor("list")', ["monitor", "list"])
    assert not runs_command('invoke(cli, ["monitor", *words])', ["monitor", "list"])
    assert not runs_command('name.startswith("record")  # run("record")', ["record"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("baseline", "analyze"):  # what they leave, others read
            CliRunner().invoke(cli, shlex.split(read_example(COMMANDS[name]))[1:])
    return folder


@pytest.mark.parametrize("name", sorted(HERE))
@pytest.mark.parametrize("as_json", [False, True])
def test_the_example_of_a_command_runs(name, as_json, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BROWSER", "true")
    store, _ = build_store()
    arguments = shlex.split(read_example(COMMANDS[name]))[1:]
    if name == "incidents open":
        arguments.append("--print")
    result = CliRunner().invoke(cli, [*arguments, *(["--json"] if as_json else [])], obj=store)
    assert result.exit_code == FAILS_ON_PURPOSE.get(name, 0), (result.output, result.exception)
    assert result.output
    if as_json and name not in {"tail", "events list"}:
        json.loads(result.output)


@pytest.mark.parametrize("name", sorted(ELSEWHERE.keys() | STORIES))
def test_the_example_of_a_command_that_needs_more_is_one_that_the_command_takes(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "photographs").mkdir(exist_ok=True)
    *groups, last = name.split()
    arguments = shlex.split(read_example(COMMANDS[name]))[1 + len(groups) + 1 :]
    COMMANDS[name].make_context(last, arguments)
