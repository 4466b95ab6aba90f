"""The demo that README shows is what the demo prints: each line one that the code can say, the table to the character."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from sagewatch.cli.terminal import tell_path
from sagewatch.sandbox.demo.summary import Alert, Summary, build_table

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "layers" / "core" / "python" / "sagewatch"
SAYERS = (
    "sandbox/demo/narrator.py",
    "sandbox/demo/stage.py",
    "sandbox/demo/story.py",
    "cli/deploy_endpoint.py",
)
TRANSCRIPT = (ROOT / "README.md").read_text().split("<!-- transcript:begin -->\n")[1].split("<!--")[0]
COMMAND, *LINES = [line.removeprefix("    ") for line in TRANSCRIPT.splitlines()]
STORY = [line for line in LINES if re.match(r" *\d+\.\d s  ", line)]
TABLE = LINES[len(STORY) :]


def list_sentences():
    """All that the demo's sources can say, as patterns: a value is anything, rich's markup is nothing."""
    for name in SAYERS:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else None for one in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            text = "".join("\0" if part is None else part for part in parts)
            yield re.escape(re.sub(r"\[/?[a-z]+\]", "", text)).replace("\0", ".*")


SENTENCES = [re.compile(one) for one in set(list_sentences()) if len(one.replace(".*", "").strip()) > 3]


@pytest.mark.parametrize("line", STORY)
def test_every_line_of_the_story_is_one_that_the_demo_says(line):
    said = re.sub(r"^ *\d+\.\d s  ", "", line)
    assert len(line) - len(said) == 10  # the time as the narrator sets it
    assert any(one.fullmatch(said) for one in SENTENCES), said


def test_the_time_of_the_story_only_goes_on():
    times = [float(line.split()[0]) for line in STORY]
    assert len(times) > 20
    assert times == sorted(times)


def test_a_line_that_no_code_says_is_found():
    assert not any(one.fullmatch("figures in demo-out/summary.json, and more") for one in SENTENCES)


def test_the_table_is_printed_as_it_stands_there(monkeypatch):
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in TABLE if line.startswith("│")]
    told = {}
    for name, value in cells:
        key = name or key  # noqa: F821 - the row before, which goes on
        told[key] = f"{told.get(key, '')} {value}".strip()

    def number(name):
        return float(re.match(r"[\d.]+", told[name])[0])

    images, error = re.fullmatch(r"(\d+), completeness error <= (.*)", told["Images explained"]).groups()
    detected = re.fullmatch(r"(\d+) \(class (\d+)\)", told["Predictions until detection"]).groups()
    clean = re.fullmatch(r"(\d+), (\d+) findings", told["Clean predictions"]).groups()
    summary = Summary(
        incident_id="", detected_class=int(detected[1]), clean_predictions=int(clean[0]),
        findings_on_clean_traffic=int(clean[1]), predictions_to_detection=int(detected[0]),
        capture_to_alert_seconds=number("From capture object to alert"),
        alerts=[Alert(receiver=one.split()[0], state=one.split()[1], path="") for one in told["Alerts"].split(", ")],
        endpoint={"final_config": told["Endpoint hooked for"].rpartition(" ")[2]}, left_behind=[],
        hooked_seconds=number("Endpoint hooked for"), explained_images=int(images),
        completeness_max_relative_error=float(error), fixed_rule={"words": told["The notebook's fixed rule"]}, outcome="",
        page=str(ROOT / told["Incident page"]), story_seconds=number("The story took"), outbound_connections=0, dead_letters=0,
    )  # fmt: skip
    monkeypatch.chdir(ROOT)
    console = Console(file=io.StringIO(), width=80)
    console.print(build_table(summary, ROOT / "demo-out" / "summary.json", tell_path))
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        line.rstrip() for line in TABLE
    ]
    assert COMMAND == "$ make demo"
