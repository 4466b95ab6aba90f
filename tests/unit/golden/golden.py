"""Compares what is rendered with what was looked at and kept.

``UPDATE_GOLDEN=1 pytest tests/unit`` writes the files anew: read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def check_golden(name: str, rendered: str) -> None:
    """Fails where the text is not the one that is kept under this name."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):  # noqa: TID251 - a switch of the tests, not of the product
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8", newline="")
    assert path.exists(), f"no golden file {name}; see {Path(__file__).name}"
    assert rendered == path.read_bytes().decode(), f"{name} differs; see {Path(__file__).name}"
