"""A churn model for SageMaker's inference toolkit: rows of CSV in, a probability a row out.

The model is a logistic regression over numbers, with an offset for each region. Like many a model in service it
is polite: an empty or unreadable cell is taken for the column's mean, and no error tells that the data are broken.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from sagemaker_inference.errors import BaseInferenceToolkitError

MODEL_FILE = "churn.json"


def model_fn(model_dir: str) -> dict[str, Any]:
    """Load the coefficients."""
    model: dict[str, Any] = json.loads((Path(model_dir) / MODEL_FILE).read_text(encoding="utf-8"))
    return model


def transform_fn(model: dict[str, Any], data: str | bytes, content_type: str, _: str) -> tuple[str, str]:
    """Answer each row with the probability that the customer leaves.

    Raises
    ------
    BaseInferenceToolkitError
        415 for anything but CSV, 400 for a row with another number of columns.
    """
    if not content_type.startswith("text/csv"):
        raise BaseInferenceToolkitError(415, f"{content_type} is not accepted", "Unsupported Media Type")
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    columns = model["columns"]
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            message = f"row {number} has {len(row)} columns, not {len(columns)}"
            raise BaseInferenceToolkitError(400, message, "Bad Request")
    return "".join(f"{score(model, row):.6f}\n" for row in rows), "text/csv"


def score(model: dict[str, Any], row: list[str]) -> float:
    """The probability for one row."""
    total = model["bias"]
    for cell, column in zip(row, model["columns"], strict=True):
        if column in model["regions_of"]:
            total += model["regions_of"][column].get(cell, 0.0)
        else:
            mean, scale, weight = model["numbers"][column]
            total += weight * (read_number(cell, mean) - mean) / scale
    # Beyond 30 the exponential only loses digits.
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def read_number(cell: str, otherwise: float) -> float:
    """The cell as a number."""
    try:
        number = float(cell)
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise
