"""A statistics.json from a few counts: a list is a number's histogram from 0, one bucket a unit, a dict a string's."""

from __future__ import annotations

import json
from typing import Any


def build_statistics(features: dict[str, list[int] | dict[str, int]]) -> bytes:
    """The file, as AWS writes it, without sketches."""
    built = [_build(name, counts) for name, counts in features.items()]
    return json.dumps({"version": 0.0, "dataset": {"item_count": 1}, "features": built}).encode()


def _build(name: str, counts: list[int] | dict[str, int]) -> dict[str, Any]:
    values = list(counts.values()) if isinstance(counts, dict) else counts
    common = {"num_present": sum(values), "num_missing": 0}
    if isinstance(counts, dict):
        buckets = [{"value": value, "count": count} for value, count in counts.items()]
        known = {
            "common": common,
            "distinct_count": len(counts),
            "distribution": {"categorical": {"buckets": buckets}},
        }
        return {"name": name, "inferred_type": "String", "string_statistics": known}
    bars = [{"lower_bound": at, "upper_bound": at + 1, "count": count} for at, count in enumerate(counts)]
    mean = sum((at + 0.5) * count for at, count in enumerate(counts)) / max(sum(counts), 1)
    numbers = {
        "common": common, "mean": mean, "sum": mean * sum(counts), "std_dev": 1.0, "min": 0.0, "max": len(counts),
        "distribution": {"kll": {"buckets": bars}},
    }  # fmt: skip
    return {"name": name, "inferred_type": "Fractional", "numerical_statistics": numbers}
