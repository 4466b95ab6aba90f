"""CloudWatch's embedded metric format: a line that a function prints -> entries for PutMetricData. Pure.

Source: CloudWatch user guide, "Embedded metric format specification".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def parse_embedded_metrics(line: str) -> dict[str, list[dict[str, Any]]]:
    """What a printed line says in metrics: entries of PutMetricData by namespace.

    Parameters
    ----------
    line
        One line of a function's output; most are not metrics.

    Returns
    -------
    dict[str, list[dict[str, Any]]]
        Empty for a line that is not in the format, or names a metric whose value it does not hold.

    Examples
    --------
    >>> line = '{"_aws": {"Timestamp": 0, "CloudWatchMetrics": [{"Namespace": "n", "Dimensions": [["d"]], '
    >>> line += '"Metrics": [{"Name": "m", "Unit": "Count"}]}]}, "d": "x", "m": 2}'
    >>> entry = parse_embedded_metrics(line)["n"][0]
    >>> entry["MetricName"], entry["Values"], entry["Dimensions"]
    ('m', [2.0], [{'Name': 'd', 'Value': 'x'}])
    """
    document = parse_document(line)
    if document is None:
        return {}
    moment = datetime.fromtimestamp(document["_aws"].get("Timestamp", 0) / 1000, tz=UTC)
    entries: dict[str, list[dict[str, Any]]] = {}
    for directive in document["_aws"].get("CloudWatchMetrics", []):
        found = entries.setdefault(directive["Namespace"], [])
        for names in directive.get("Dimensions", [[]]):
            dimensions = [{"Name": name, "Value": str(document[name])} for name in names if name in document]
            found += [
                build_entry(metric, document[metric["Name"]], dimensions, moment)
                for metric in directive.get("Metrics", [])
                if metric["Name"] in document
            ]
    return entries


def parse_document(line: str) -> dict[str, Any] | None:
    """The JSON of a line in the format; None for any other line."""
    if '"_aws"' not in line:
        return None
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("_aws"), dict):
        return None
    return document


def build_entry(
    metric: dict[str, Any], value: Any, dimensions: list[dict[str, str]], moment: datetime
) -> dict[str, Any]:
    """One entry of PutMetricData; `value` is a number or a list of numbers."""
    return {
        "MetricName": metric["Name"],
        "Unit": metric.get("Unit", "None"),
        "Timestamp": moment,
        "Values": [float(number) for number in (value if isinstance(value, list) else [value])],
        "Dimensions": dimensions,
    }
