from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import sagewatch.detect
from sagewatch.incident.describe import KINDS

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
SECTIONS = (
    "## What it means",
    "## First five minutes",
    "## Find the cause",
    "## Mend it",
    "## If it was a false alarm",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_finding_kind_has_a_runbook_with_every_section(kind):
    text = (RUNBOOKS / f"{kind}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {kind}\n")
    places = [text.find(section) for section in SECTIONS]
    assert -1 not in places
    assert places == sorted(places)


def test_every_detector_speaks_of_a_kind_that_has_words():
    modules = [
        importlib.import_module(f"sagewatch.detect.{module.name}")
        for module in pkgutil.iter_modules(sagewatch.detect.__path__)
    ]
    detectors = {
        one.name
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and isinstance(getattr(one, "name", None), str) and hasattr(one, "fold")
    }
    assert "class-concentration" in detectors
    assert detectors <= set(KINDS)


def test_no_runbook_speaks_of_a_kind_that_is_gone():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(KINDS)
