"""A story's figures, for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sagewatch.sandbox.demo import summary, tabular_summary


def write_summary(told: summary.Summary | tabular_summary.Summary, out: Path) -> Path:
    """Write ``summary.json``."""
    path = out / "summary.json"
    path.write_text(json.dumps(asdict(told), indent=2) + "\n", encoding="utf-8")
    return path
