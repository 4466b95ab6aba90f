"""The saved Logs Insights queries ask for what the code logs: a message or a field that nobody writes finds nothing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "layers" / "core" / "python" / "sagewatch"
LEVELS = {"debug", "info", "warning", "error", "exception"}
WRITTEN_BY_POWERTOOLS = {"level", "message", "exception_name"}


def read_logged():
    """Messages and fields of all calls of the logger."""
    messages, fields = set(), set(WRITTEN_BY_POWERTOOLS)
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        functions = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if ast.unparse(call.func.value) != "get_logger()" or call.func.attr not in {
                *LEVELS,
                "append_keys",
            }:
                continue
            fields |= {keyword.arg for keyword in call.keywords}
            said = call.args[0] if call.args else ast.Pass()
            if isinstance(said, ast.Call) and isinstance(said.func, ast.Name):
                said = functions[said.func.id]  # chooses among several messages
            if isinstance(said, ast.Attribute):  # what was written down before under that name
                given = (word for one in ast.walk(tree) if isinstance(one, ast.Call) for word in one.keywords)
                said = ast.Tuple([word.value for word in given if word.arg == said.attr])
            messages |= {one.value for one in ast.walk(said) if isinstance(one, ast.Constant)}
    return messages, fields


def read_fields(query):
    (asked,) = re.findall(r"fields ([^|]+)", query)
    return {name.strip() for name in asked.split(",")} | set(re.findall(r"filter (\w+)", query))


@pytest.fixture
def queries(of_type):
    return {row["Name"]: row["QueryString"] for row in of_type("AWS::Logs::QueryDefinition").values()}


def test_every_field_that_a_query_asks_for_is_logged(queries):
    _, logged = read_logged()
    asked = {name: read_fields(query) for name, query in queries.items()}
    assert len(asked) >= 4
    unknown = {
        name: {one for one in fields if not one.startswith("@")} - logged for name, fields in asked.items()
    }
    assert {name: fields for name, fields in unknown.items() if fields} == {}


def test_every_message_that_a_query_looks_for_is_logged(queries):
    messages, _ = read_logged()
    wanted = {one for query in queries.values() for listed in re.findall(r"message in \[([^\]]+)\]", query)
              for one in re.findall(r'"(\w+)"', listed)}  # fmt: skip
    assert len(wanted) > 5
    assert wanted - messages == set()


def test_whatever_makes_a_dead_letter_is_found_by_the_saved_query_the_runbook_and_the_operators_page(queries):
    (query,) = (text for name, text in queries.items() if name.endswith("/rejected, retried and refused"))
    wanted = {"record_rejected", "record_retried", "record_refused", "alert_refused"}
    docs = Path(__file__).parents[2] / "docs"
    for text in (
        query,
        *((docs / name).read_text() for name in ("runbooks/alarms/dead-letters.md", "operations.md")),
    ):
        assert set(re.findall(r"(?:record|alert)_(?:rejected|retried|refused)", text)) == wanted


def test_what_decides_about_an_incident_names_it():
    """The query of one incident asks for its id: what was decided without it stands in no answer."""
    source = (PACKAGE / "flows" / "manage_incident.py").read_text()
    folded = next(
        call for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and [ast.unparse(one) for one in call.args] == ["'finding_folded'"]
    )  # fmt: skip
    assert "incident_id" in {keyword.arg for keyword in folded.keywords}
