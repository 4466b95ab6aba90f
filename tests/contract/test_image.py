"""The jobs' image holds every module that its programs import: laid out as the Dockerfile lays it out, each is imported."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "monitor_image" / "Dockerfile").read_text().replace("\\\n", " ")
PROGRAMS = ("analyze", "explain", "replay")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """What the COPY lines put below the image's /."""
    root = tmp_path_factory.mktemp("image")
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in (ROOT / one for one in sources):
            place = root / target.lstrip("/")
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = place / source.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)
    return root / "opt" / "program"


def find_modules(image):
    """Every module of the package that the image holds, by its name."""
    for path in sorted((image / "sagewatch").rglob("*.py")):
        parts = path.relative_to(image).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_each_program_and_module_of_the_image_finds_what_it_imports(image):
    names = [*PROGRAMS, *find_modules(image)]
    assert "sagewatch.explain.report" in names
    assert "sagewatch.quality.drift" in names
    program = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(image), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
