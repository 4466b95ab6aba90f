"""Text from outside cannot do anything to a terminal, whichever command prints it."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import sagewatch.cli
from sagewatch.cli import cli
from sagewatch.cli.reference import list_commands, read_example
from sagewatch.cli.terminal import ID_WIDTH, cell, escape, make_console, say
from tests.unit.cli.stores import INCIDENT, build_store, write_files
from tests.unit.cli.test_examples import HERE

HOSTILE = {
    "markup": "[/red][bold]",
    "clear": "\x1b[2J\x1b[H",
    "forged": "x\n20260101T000000Z-ffffffffffffffff  resolved  everything is well",
    "turned": "\u202elaer\u2066",
    "bell": "\x07\x9b2J\r\x7f",
}
FORGED = "20260101T000000Z-ffffffffffffffff  resolved"
COMMANDS = dict(list_commands(cli))


def check_harmless(output: str) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", output), (
        output
    )
    assert not any(line.startswith(FORGED) for line in output.splitlines())


def spoil(folder: Path, text: str) -> None:
    """Put the text for class 14 and for its place everywhere in what a folder recorded."""
    for path in folder.rglob("*.json*"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(_spoil_line(line, text) for line in lines) + "\n")


def _spoil_line(line: str, text: str) -> str:
    """An answer ``[[14, 0.9]]`` becomes one with a label; a finding's subject becomes it too."""
    label = json.dumps(json.dumps(text))[1:-1]
    line = line.replace("[[14, 0.9]]", f"[[{label}, 0.9]]")
    return line.replace('"subject": "14"', f'"subject": {json.dumps(text)}').replace(
        '"subject":"14"', f'"subject":{json.dumps(text)}'
    )


@pytest.fixture(scope="module", params=list(HOSTILE))
def hostile(request, tmp_path_factory):
    """A folder whose captures and records name a hostile class, and the text."""
    folder = tmp_path_factory.mktemp("hostile")
    write_files(folder)
    text = HOSTILE[request.param]
    spoil(folder, text)
    return folder, text


def build_hostile_store(text: str):
    """A store whose incident is about a hostile class, and was ended by a hostile hand."""
    store, world = build_store()
    incident = store.state.load_incident(INCIDENT)
    finding = msgspec.structs.replace(incident.latest, subject=text, counts={text: 3}, source=text)
    changed = msgspec.structs.replace(
        incident, subject=text, endpoint=text, variant=text, findings=(finding,), acknowledged_by=text,
        resolved_by=text, resolution=text, resolved_at=incident.opened_at,
    )  # fmt: skip
    entry = msgspec.structs.replace(
        store.state.load_entries(INCIDENT)[0], what=text, reason=text, by=text, data={"note": text, "receiver": text}
    )  # fmt: skip
    record = store.state.load_open(incident.fingerprint)
    store.state.save_incident(changed, record, (entry,))
    return store, world


@pytest.mark.parametrize("name", sorted(HERE))
def test_a_hostile_label_is_shown_as_what_it_is(name, hostile, monkeypatch):
    folder, text = hostile
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BROWSER", "true")
    store, _ = build_hostile_store(text)
    arguments = shlex.split(read_example(COMMANDS[name]))[1:]
    arguments = [one for one in arguments if one not in {"--endpoint", "traffic-signs"}]
    if name == "incidents open":
        arguments.append("--print")
    result = CliRunner().invoke(cli, arguments, obj=store)
    if result.exception is not None:
        # Refused in a sentence, perhaps; never because of what the label did to rich.
        assert type(result.exception).__name__ != "MarkupError", result.exception
        assert type(result.exception).__module__.startswith(("sagewatch", "builtins", "click"))
    check_harmless(result.output)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_replay_of_hostile_labels_names_them_and_stands(name, hostile, tmp_path, monkeypatch):
    del name
    folder, text = hostile
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, ["replay", "captures", "--monitors", "monitors.yml"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Nothing was sent." in result.output
    assert escape(text)[:8] in result.output
    check_harmless(result.output)


def test_every_command_prints_through_the_one_place():
    """Elsewhere ``click.echo`` takes JSON alone, which is ASCII, and no command makes a console for itself."""
    folder = Path(sagewatch.cli.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if path.name in {"terminal.py", "reference.py"}:
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls:
            name = ast.unparse(call.func)
            if name == "click.echo":
                assert isinstance(call.args[0], ast.Call), f"{path.name}:{call.lineno}"
                told = ast.unparse(call.args[0].func)
                assert told in {"json.dumps", "encode"}, f"{path.name}:{call.lineno}"
            assert name != "print", f"{path.name}:{call.lineno}"
            # The demos tell their own story, and a progress bar names nothing from outside.
            if name == "Console":
                assert path.name in {"demo.py", "demo_tabular.py", "dataset.py"}, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("text", HOSTILE.values())
def test_a_cell_of_a_table_is_text_and_no_markup(text, capsys):
    console = make_console()
    console.print(cell(escape(text)))
    say(text)
    told = capsys.readouterr().out
    check_harmless(told)
    if text == HOSTILE["markup"]:
        assert told.count(text) == 2


def test_ordinary_names_of_all_scripts_are_left_as_they_are():
    for text in ("Stop", "Zufahrt verboten", "\u505c\u8f66", "\u0642\u0641", "50 km/h [zone]"):
        assert escape(text) == text


@pytest.mark.parametrize("by", ["ada\nresolved by the evidence", "a\x1b[2J", " ", "\u202eada"])
def test_a_name_with_control_characters_decides_nothing(by):
    store, _ = build_store()
    result = CliRunner().invoke(cli, ["incidents", "ack", INCIDENT, "--by", by], obj=store)
    assert result.exit_code == 2
    assert "on one line" in result.output
    assert store.state.load_incident(INCIDENT).acknowledged_by is None


@pytest.mark.parametrize("width", [80, 150])
def test_on_a_terminal_the_list_is_a_table_whose_ids_are_whole(width, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    store, _ = build_hostile_store("a-class-with-a-long-name-" * 4)
    shown = CliRunner().invoke(cli, ["incidents", "list"], obj=store).output
    assert len(INCIDENT) == ID_WIDTH
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert INCIDENT in plain
    assert "Incident" in plain
    assert max(map(len, plain.splitlines())) <= width


def test_into_a_file_the_list_is_a_line_an_incident():
    store, _ = build_store()
    (line,) = CliRunner().invoke(cli, ["incidents", "list"], obj=store).output.splitlines()
    assert line.split()[:3] == [INCIDENT, "critical", "open"]


def test_an_incident_on_trial_is_marked_in_the_list():
    store, _ = build_store()
    incident = store.state.load_incident(INCIDENT)
    staged = msgspec.structs.replace(
        incident, findings=tuple(msgspec.structs.replace(one, staged=True) for one in incident.findings)
    )
    store.state.save_incident(staged, store.state.load_open(incident.fingerprint), ())
    shown = CliRunner().invoke(cli, ["incidents", "list"], obj=store).output
    assert "open, on trial" in shown


@pytest.mark.parametrize("width", ["80"])
def test_the_ids_in_a_replays_table_are_whole_at_80_columns(width, tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    shown = CliRunner().invoke(cli, ["replay", "demo-out"]).output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert re.search(r"\d{8}T\d{6}Z-[0-9a-f]{16}", plain)
