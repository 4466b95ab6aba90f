"""The second notebook's functions, for a Jupyter notebook: each returns something that draws itself.

from sagewatch.quality.notebook import show_violations, show_distributions
show_violations(statistics="report/statistics.json", violations="report/constraint_violations.json")
show_distributions("report/statistics.json", baseline="baseline/statistics.json")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagewatch.quality.page import render_distributions, render_page, render_part, render_violations
from sagewatch.quality.statistics import Statistics, parse_statistics
from sagewatch.quality.violation_table import build_violation_table
from sagewatch.quality.violations import Violation, parse_violations

Given = str | Path | bytes | dict[str, Any] | list[Any]


class Picture:
    """Something that a notebook draws, and that can be saved as a page of its own."""

    def __init__(self, title: str, body: str) -> None:
        self._title = title
        self._body = body

    def _repr_html_(self) -> str:
        return render_part(self._body)

    def save(self, path: str | Path) -> Path:
        """Write the picture as one HTML page that needs nothing from outside."""
        written = Path(path)
        written.write_text(render_page(self._title, self._body), encoding="utf-8")
        return written


def show_violations(statistics: Given, violations: Given) -> Picture:
    """The table of violations over all features.

    Parameters
    ----------
    statistics, violations
        Paths of the two files, their content, or what ``json.loads`` made of it; the notebook's bare list of
        violations is accepted too.

    Raises
    ------
    RejectedInputError
        When one is no such file.
    """
    found = {"violations": violations} if isinstance(violations, list) else violations
    parsed: list[Violation] = parse_violations(_load(found)).violations
    table = build_violation_table(_statistics(statistics), parsed)
    return Picture("Violations", render_violations(table))


def show_distributions(statistics: Given, baseline: Given | None = None) -> Picture:
    """Every feature's distribution, beside its baseline's where one is given.

    Raises
    ------
    RejectedInputError
        When one is no statistics file.
    """
    expected = None if baseline is None else _statistics(baseline)
    return Picture("Distributions", render_distributions(_statistics(statistics), expected))


def _statistics(given: Given) -> Statistics:
    return parse_statistics(_load(given))


def _load(given: Given) -> bytes:
    if isinstance(given, str | Path):
        return Path(given).read_bytes()
    return given if isinstance(given, bytes) else json.dumps(given).encode()
