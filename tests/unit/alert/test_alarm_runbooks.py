"""Every alarm on Sagewatch itself has a runbook."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_alarm_of_the_stack_has_a_runbook():
    source = (ROOT / "resources" / "watch.js").read_text()
    names = {
        re.sub(r"\$\{[^}]*\}-?", "", name)
        for name in re.findall(r"(?:= alarm\(\s*|AlarmName: )[`']([^`']+)[`']", source)
    } - {"${name}", ""}
    assert names >= {"throttles", "diagnosis-overdue", "alerts-at-risk"}
    books = {path.stem for path in (ROOT / "docs" / "runbooks" / "alarms").glob("*.md")}
    assert names - books == set()
