"""Small tables in profile, and where the real files lie."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from sagewatch.quality.profile import Batch, Shape, TableProfile

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="../shared/real is not there")


NAMED = Shape(0)


def batch_of(columns, shape=NAMED):
    arrays = tuple(pa.array(list(values), pa.string()) for values in columns.values())
    return Batch(shape, tuple(columns), arrays, len(arrays[0]) if arrays else 0)


def profile_of(columns):
    """A table of columns given as name -> strings (None where one is missing)."""
    table = TableProfile()
    table.add(batch_of(columns))
    return table


def read_csv_columns(path):
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))
    columns = zip(*rows[1:], strict=True)
    return {name: list(values) for name, values in zip(rows[0], columns, strict=True)}


def numbers(values):
    return [repr(value) for value in values]
