"""CloudWatch in a replay: a day's metrics are counted, not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class LastMetrics:
    """``Metrics`` as sums by name and endpoint."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, str]] = Counter()

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """Add counts up; of statistics nothing is kept."""
        if unit != "Count":
            return
        for name, value in values.items():
            self.sums[name, dimensions.get("Endpoint", "")] += int(value)
