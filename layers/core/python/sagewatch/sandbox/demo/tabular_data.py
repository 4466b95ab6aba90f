"""Customers drawn by code: a table like the churn data of the notebooks, clean, drifted or broken (pure).

Seeds are arguments; the same seed draws the same customers on every machine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

REGIONS: Final = ("north", "south", "east", "west", "coast", "hills", "lakes", "islands")
NUMBERS: Final = (
    "account_length",
    "voicemail_messages",
    "day_minutes",
    "day_calls",
    "evening_minutes",
    "night_minutes",
    "international_minutes",
    "international_calls",
    "service_calls",
    "international_plan",
)
COLUMNS: Final = (*NUMBERS, "region")
PREDICTION: Final = "churn_probability"
DRIFTED: Final = ("day_minutes", "service_calls", "international_plan")
BROKEN: Final = ("evening_minutes", "account_length", "region", "day_calls")
Row = dict[str, str]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Customers:
    """Drawn customers.

    Attributes
    ----------
    values
        Column -> one number a customer; ``region`` is an index into `REGIONS`.
    left
        1.0 for those who left.
    """

    values: Mapping[str, Numbers]
    left: Numbers


def draw_customers(number: int, rng: np.random.Generator) -> Customers:
    """So many customers of the population that the model was trained on."""
    voicemail = np.where(rng.random(number) < 0.28, np.clip(rng.normal(29, 7, number).round(), 1, None), 0.0)  # noqa: PLR2004
    values: dict[str, Numbers] = {
        "account_length": np.clip(rng.normal(100, 40, number).round(), 1, 240),
        "voicemail_messages": voicemail,
        "day_minutes": np.clip(rng.normal(180, 54, number), 0.1, None),
        "day_calls": np.clip(rng.normal(100, 20, number).round(), 0, None),
        "evening_minutes": np.clip(rng.normal(201, 51, number), 0.1, None),
        "night_minutes": np.clip(rng.normal(201, 51, number), 0.1, None),
        "international_minutes": np.clip(rng.normal(10.2, 2.8, number), 0.1, None),
        "international_calls": rng.poisson(4.5, number).astype(float),
        "service_calls": rng.poisson(1.5, number).astype(float),
        "international_plan": (rng.random(number) < 0.1).astype(float),  # noqa: PLR2004
        "region": rng.integers(0, len(REGIONS), number).astype(float),
    }
    logit = (
        -2.4
        + 0.018 * (values["day_minutes"] - 180)
        + 0.008 * (values["evening_minutes"] - 201)
        + 0.55 * (values["service_calls"] - 1.5)
        + 1.9 * values["international_plan"]
        - 0.03 * values["voicemail_messages"]
        + 0.1 * (values["region"] - 3.5)
    )
    left = (rng.random(number) < 1 / (1 + np.exp(-logit))).astype(float)
    return Customers(values, left)


def write_rows(customers: Customers) -> list[Row]:
    """The customers as cells of text: minutes with one decimal, everything else whole."""
    number = len(customers.left)
    rows: list[Row] = [{} for _ in range(number)]
    for column in COLUMNS:
        for row, value in zip(rows, customers.values[column], strict=True):
            if column == "region":
                row[column] = REGIONS[int(value)]
            else:
                row[column] = f"{value:.1f}" if column.endswith("_minutes") else f"{value:.0f}"
    return rows


def draw_clean(number: int, rng: np.random.Generator) -> list[Row]:
    """Traffic as the model knows it."""
    return write_rows(draw_customers(number, rng))


def draw_drifted(number: int, rng: np.random.Generator) -> list[Row]:
    """Another population: longer days, more service calls, and the plan of 10 % is had by 60 %."""
    customers = draw_customers(number, rng)
    values = dict(customers.values)
    values["day_minutes"] = values["day_minutes"] + 70
    values["service_calls"] = values["service_calls"] + rng.poisson(2, number)
    values["international_plan"] = (rng.random(number) < 0.6).astype(float)  # noqa: PLR2004
    return write_rows(Customers(values, customers.left))


def draw_broken(number: int, rng: np.random.Generator) -> list[Row]:
    """The same population behind a broken pipeline: gaps, units in numbers, unknown regions, signs turned."""
    rows = draw_clean(number, rng)
    for row in rows:
        chance = rng.random()
        if chance < 0.3:  # noqa: PLR2004
            row["evening_minutes"] = ""
        if chance < 0.25:  # noqa: PLR2004
            row["account_length"] = f"{row['account_length']} days"
        if chance > 0.7:  # noqa: PLR2004
            row["region"] = "unknown"
        if chance > 0.8:  # noqa: PLR2004
            row["day_calls"] = f"-{row['day_calls']}"
    return rows


def format_rows(rows: Sequence[Row]) -> str:
    """Rows as the endpoint takes them: CSV without a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row[column] for column in COLUMNS] for row in rows)
    return text.getvalue()


def format_baseline(rows: Sequence[Row], predict: Callable[[list[str]], float]) -> str:
    """The baseline's data set: what the endpoint answers comes first, as in its captures, then what it is asked.

    Source: SageMaker developer guide: prediction columns are assumed to be the first columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([PREDICTION, *COLUMNS])
    for row in rows:
        cells = [row[column] for column in COLUMNS]
        writer.writerow([f"{predict(cells):.6f}", *cells])
    return text.getvalue()
