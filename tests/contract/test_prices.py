"""One price for one thing: what `sagewatch cost` estimates with and what a diagnosis's page tells are the same."""

from __future__ import annotations

import json
from pathlib import Path

import sagewatch.cli
from sagewatch.prices import AS_OF, INSTANCE_USD_AN_HOUR, REGION

TABLES = Path(sagewatch.cli.__file__).parent / "prices"


def test_instances_cost_the_same_in_both_tables():
    table = json.loads((TABLES / f"{REGION}.json").read_text())
    assert table["processing_hour"]
    assert table["as_of"] == AS_OF, "known at one time"
    assert table["processing_hour"].items() <= INSTANCE_USD_AN_HOUR.items()
