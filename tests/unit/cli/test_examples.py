"""Every command is in the reference with an example, and every example does what it says."""

from __future__ import annotations

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
    "demo": "tests/e2e/test_demo.py",
    "demo-tabular": "tests/e2e/test_demo_tabular.py",
    "deploy-endpoint": "tests/e2e/test_demo.py",
    "doctor": "tests/integration/test_commands_on_stack.py",
    "monitor create": "tests/integration/monitoring/test_monitor_command.py",
    "monitor list": "tests/integration/monitoring/test_monitor_command.py",
    "monitor run": "tests/integration/monitoring/test_monitor_command.py",
    "monitor delete": "tests/integration/monitoring/test_monitor_command.py",
    "record": "tests/integration/test_record_and_replay.py",
    "sandbox up": "tests/integration/test_commands_on_stack.py",
    "teardown": "tests/integration/sandbox/test_provisioning.py",
}
"""Commands that need more than memory, and the tests that run them."""
HERE = {
    "backtest", "check", "cost", "events list", "events resend", "events show", "incidents ack", "incidents list",
    "incidents open", "incidents report", "incidents resolve", "incidents show", "incidents silence", "render",
    "replay", "tail", "trigger",
}  # fmt: skip
"""Commands whose example runs on a store in memory and the files of ``stores``."""


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
    assert (ROOT / ELSEWHERE[name]).is_file()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder)
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
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.output
    if as_json and name not in {"tail", "events list"}:
        json.loads(result.output)
