"""Parquet: typed columns as the strings that type inference expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sagewatch.errors import RejectedInputError
from sagewatch.quality.payload import spell
from sagewatch.quality.profile import MOST_COLUMNS, Batch, Shape
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import ROWS_A_BATCH


def read_parquet(path: Path, start: int, end: int, readout: Readout, progress: Callable[[int], None]) -> int:
    """Read the row groups of a Parquet file that lie in a stretch of it, batch by batch; the answer is their rows.

    Parameters
    ----------
    start, end
        Offsets in bytes. A row group lies where it would if all were of one size: stretches side by side share none.

    Raises
    ------
    RejectedInputError
        When it is none, or has too many columns.
    """
    read = 0
    for batch, size in iterate_batches(path, start, end):
        flat = _flatten(batch, path)
        columns = tuple(spell_column(column) for column in flat.values())
        readout.counts.lines += batch.num_rows
        readout.add(Batch(Shape(0), tuple(flat), columns, batch.num_rows), str(path), read + 1)
        read += batch.num_rows
        progress(size)
    return read


def iterate_batches(path: Path, start: int, end: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The rows of those row groups, a batch at a time, each with about how many bytes of the file it takes.

    Raises
    ------
    RejectedInputError
        When it is no Parquet, or has too many columns.
    """
    size = path.stat().st_size
    try:
        # Not buffered ahead: that would hold a whole row group's bytes, and those of the next.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            _check_names(file.schema_arrow.names, path)
            count = file.num_row_groups
            groups = [at for at in range(count) if start <= size * at // count < end]
            rows = max(1, file.metadata.num_rows)
            for group in groups:
                for batch in file.iter_batches(ROWS_A_BATCH, row_groups=[group], use_threads=False):
                    yield batch, size * batch.num_rows // rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RejectedInputError(f"no Parquet ({error})", where=str(path)) from error


def _flatten(batch: pa.RecordBatch, path: Path) -> dict[str, pa.Array]:
    """Its columns by name; nested records have dotted names, as those of JSON have."""
    table = pa.Table.from_batches([batch])
    while any(pa.types.is_struct(field.type) and field.type.num_fields for field in table.schema):
        table = table.flatten()
        _check_names(table.column_names, path)
    return {
        name: column.combine_chunks() for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MOST_COLUMNS or len(set(names)) < len(names):
        raise RejectedInputError("too many columns, or two of one name", where=str(path))


def spell_column(column: pa.Array) -> pa.StringArray:
    """A typed column as strings; NaN and infinities are missing, a float keeps its point, a truth value is lower case.

    Examples
    --------
    >>> import pyarrow
    >>> spell_column(pyarrow.array([1.0, 0.5, float("nan"), None])).to_pylist()
    ['1.0', '0.5', None, None]
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        values = pc.cast(column, pa.float64())
        finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
        text = pc.cast(finite, pa.string())
        bare = pc.invert(pc.match_substring_regex(text, "[.eE]"))
        return _whole(pc.if_else(bare, pc.binary_join_element_wise(text, ".0", ""), text))
    try:
        return _whole(pc.cast(column, pa.string()))
    except pa.ArrowException:
        return pa.array([_spell(value) for value in column.to_pylist()], pa.string())


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _spell(value: object) -> str | None:
    """Lists, and bytes that are no text: as Python writes them, for there is no other way to tell them apart.

    Value by value: whether others of its batch are text changes nothing.
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return str(value)
    return spell(value) if isinstance(value, str | int | float | bool | None) else str(value)
