"""A data set in profile: its columns and rows, whatever way they were cut into chunks, files and machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.quality.cells import Columns
from sagewatch.quality.column import CATEGORIES_KEPT, ColumnProfile

# A data set with more columns or more shapes of rows than this is no table.
MOST_COLUMNS: Final = 10_000
MOST_SHAPES: Final = 32


class Shape(msgspec.Struct, frozen=True, order=True):
    """What rows must share to lie in one table.

    Attributes
    ----------
    width
        Number of columns; 0 for rows whose columns have names, which are joined by name.
    outputs
        How many of the first columns are the model's answer; 0 where that is not known.
    """

    width: int
    outputs: int = 0

    @property
    def is_named(self) -> bool:
        """True where columns are told by name and not by position."""
        return not self.width


class Batch(msgspec.Struct, frozen=True):
    """Some rows of one shape, column by column."""

    shape: Shape
    names: tuple[str, ...]
    columns: Columns
    rows: int


class TableProfile:
    """The rows of one shape. A named column that a row does not have is missing in it."""

    def __init__(self, most_categories: int = CATEGORIES_KEPT) -> None:
        self.rows = 0
        self.columns: dict[str, ColumnProfile] = {}
        self.most_categories = most_categories

    def add(self, batch: Batch) -> None:
        """Take in rows."""
        for name, values in zip(batch.names, batch.columns, strict=True):
            self._column(name).add(values)
        self._fill(set(batch.names), batch.rows)
        self.rows += batch.rows

    def merge(self, other: TableProfile) -> None:
        """Take in other rows of the same shape."""
        for name, column in other.columns.items():
            self._column(name).merge(column)
        self._fill(set(other.columns), other.rows)
        self.rows += other.rows

    def rename(self, names: Iterable[str]) -> TableProfile:
        """The same columns by other names, in order; columns beyond the names are left out."""
        renamed = TableProfile(self.most_categories)
        renamed.rows = self.rows
        renamed.columns = dict(zip(names, self.columns.values(), strict=False))
        return renamed

    def pick(self, names: Iterable[str]) -> TableProfile:
        """Only these columns, in this order; names that are not there are left out."""
        picked = TableProfile(self.most_categories)
        picked.rows = self.rows
        picked.columns = {name: self.columns[name] for name in names if name in self.columns}
        return picked

    def _column(self, name: str) -> ColumnProfile:
        column = self.columns.get(name)
        if column is None:
            # The first column of a capture is what the model answered.
            column = ColumnProfile(self.most_categories, has_classes=not self.columns)
            self.columns[name] = column
            column.missing = self.rows
        return column

    def _fill(self, seen: set[str], rows: int) -> None:
        for name, column in self.columns.items():
            if name not in seen:
                column.missing += rows


class Tables:
    """All rows of a data set, a profile a shape."""

    def __init__(self, most_categories: int = CATEGORIES_KEPT) -> None:
        self.by_shape: dict[Shape, TableProfile] = {}
        self.most_categories = most_categories

    @property
    def rows(self) -> int:
        """Rows of all shapes."""
        return sum(table.rows for table in self.by_shape.values())

    @property
    def is_empty(self) -> bool:
        """True where no row has a value, or so much as a column: there is nothing to tell of such data."""
        return not any(table.rows and table.columns for table in self.by_shape.values())

    def add(self, batch: Batch) -> bool:
        """Take in rows; False where they bring a shape too many or too many columns, and are not counted."""
        table = self.by_shape.get(batch.shape)
        known = len(table.columns) if table is not None else 0
        new = (
            sum(name not in table.columns for name in batch.names) if table is not None else len(batch.names)
        )
        if known + new > MOST_COLUMNS or (table is None and len(self.by_shape) >= MOST_SHAPES):
            return False
        self.by_shape.setdefault(batch.shape, TableProfile(self.most_categories)).add(batch)
        return True

    def merge(self, other: Tables) -> None:
        """Take in other rows."""
        for shape, table in other.by_shape.items():
            self.by_shape.setdefault(shape, TableProfile(self.most_categories)).merge(table)

    def encode(self) -> bytes:
        """The profile for another process or machine: a partial profile."""
        tables = [
            {
                "shape": [shape.width, shape.outputs],
                "rows": table.rows,
                "columns": [[name, column.to_state()] for name, column in table.columns.items()],
            }
            for shape, table in self.by_shape.items()
        ]
        return msgspec.msgpack.encode(
            {"format": 1, "most_categories": self.most_categories, "tables": tables}
        )

    @classmethod
    def decode(cls, content: bytes, where: str = "partial profile") -> Tables:
        """Read a partial profile.

        Raises
        ------
        RejectedInputError
            When it is none, or one of another version.
        """
        try:
            state: dict[str, Any] = msgspec.msgpack.decode(content, type=dict[str, Any])
            tables = cls(state["most_categories"])
            for each in state["tables"]:
                table = TableProfile(tables.most_categories)
                table.rows = each["rows"]
                table.columns = {name: ColumnProfile.from_state(column) for name, column in each["columns"]}
                tables.by_shape[Shape(*each["shape"])] = table
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise RejectedInputError(f"no partial profile ({error})", where=where) from error
        return tables
