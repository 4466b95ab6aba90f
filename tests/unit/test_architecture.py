"""The house's rules that no linter knows: what functions may import, what runs inside another's container."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = sorted((ROOT / "functions").glob("*/handler.py"))
# Seconds of import that Lambda's cold start cannot afford, and that only tensors need.
HEAVY = ("numpy", "scipy", "pandas", "pydantic", "torch", "moto", "sagewatch.cli", "sagewatch.sandbox")


def imported_by(file):
    """Names of the modules that a file imports, at its top or anywhere inside."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("file", HANDLERS, ids=lambda file: file.parent.name)
def test_a_handler_is_thin_and_names_its_flow(file):
    assert len(file.read_text().splitlines()) <= 40
    ours = {module for module in imported_by(file) if module != "__future__"}
    assert ours == {"sagewatch.entry", f"sagewatch.flows.{file.parent.name}"}


@pytest.mark.parametrize("file", HANDLERS, ids=lambda file: file.parent.name)
def test_importing_a_handler_needs_no_environment_and_nothing_heavy(file):
    module = f"functions.{file.parent.name}.handler"
    program = f"import json, sys, {module}; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("file", sorted((ROOT / "endpoint_code").rglob("*.py")), ids=lambda file: file.name)
def test_endpoint_code_imports_nothing_of_ours(file):
    """It runs in the inference container, where Sagewatch is not installed."""
    assert not [module for module in imported_by(file) if module.split(".")[0] == "sagewatch"]


@pytest.mark.parametrize("file", sorted((ROOT / "monitor_image").glob("*.py")), ids=lambda file: file.name)
def test_the_image_stands_on_quality_explain_and_the_containers_contract_alone(file):
    allowed = ("sagewatch.quality", "sagewatch.explain", "sagewatch.container", "sagewatch.errors")
    ours = [module for module in imported_by(file) if module.split(".")[0] == "sagewatch"]
    assert not [module for module in ours if not module.startswith(allowed)]


def test_nothing_is_called_utils_helpers_common_shared_or_base():
    drawers = {"utils", "helpers", "common", "misc", "shared", "manager", "base"}
    package = ROOT / "layers" / "core" / "python" / "sagewatch"
    found = [path for path in package.rglob("*") if path.stem in drawers]
    assert not found


def test_no_file_of_the_repository_names_a_machine_or_a_registry():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout
    if not tracked:
        pytest.skip("not a git checkout")
    # Put together here, so that this file does not find itself.
    words = [b"/wo" + b"rk/", b"/ro" + b"ot/", b"pythonhosted" + b".org", b"registry.npm" + b"js"]
    found = [
        (name.decode(), word.decode())
        for name in tracked.split(b"\0")
        if name and (ROOT / name.decode()).is_file()
        for word in words
        if word in (ROOT / name.decode()).read_bytes()
    ]
    assert not found
