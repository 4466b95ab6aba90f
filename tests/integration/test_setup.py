"""`make setup` on a machine that lacks something says what to do, before it spends minutes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("bin/setup", "requirements.txt", "pyproject.toml", "package.json", "package-lock.json", ".npmrc")
TOOLS = ("bash", "env", "cat", "cut", "dirname", "grep", "awk", "sha256sum", "rm")
GOOD = {
    "node": "echo v20.11.0",
    "npm": "exit 0",
    "df": "printf 'Filesystem 1M Used Free\\nx 9 9 90000\\n'",
    "python3.11": 'case "$*" in *venv*) exit 1 ;; *executable*) echo python3.11 ;; esac',
}


@pytest.fixture
def clone(tmp_path):
    """A bare clone: what bin/setup reads, nothing installed."""
    for name in NEEDED:
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def run_setup(clone, **programs):
    """Run it where only these programs exist; None is a program that is missing."""
    path = clone.parent / "path"
    path.mkdir()
    for tool in TOOLS:
        (path / tool).symlink_to(shutil.which(tool))
    for name, body in {**GOOD, **programs}.items():
        if body is not None:
            (path / name).write_text(f"#!{path / 'bash'}\n{body}\n")
            (path / name).chmod(0o755)
    done = subprocess.run(
        [str(path / "bash"), "bin/setup"], cwd=clone, env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_without_node_it_names_node_and_how_to_install_it(clone):
    assert "there is no node. Install it" in run_setup(clone, node=None)


def test_an_old_node_is_named_with_its_version(clone):
    assert "Node 20 or newer is needed, and this is 18.19.0" in run_setup(clone, node="echo v18.19.0")


def test_without_npm_it_names_npm(clone):
    assert "npm is needed beside node. Install it" in run_setup(clone, npm=None)


def test_without_a_new_enough_python_it_says_which_and_how_to_name_one(clone):
    said = run_setup(clone, **{"python3.11": "exit 1"})
    assert "Python 3.11 or newer is needed" in said
    assert "make setup PYTHON=" in said


def test_a_python_without_ensurepip_is_told_apart(clone):
    assert "apt-get install python3-venv" in run_setup(clone)


def test_a_full_disk_is_told_in_megabytes(clone):
    said = run_setup(clone, df="printf 'Filesystem 1M Used Free\\nx 9 9 512\\n'")
    assert "512 MB are free here and 3000 MB are needed" in said
