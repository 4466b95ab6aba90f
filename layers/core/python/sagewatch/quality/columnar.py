"""Parquet: typed columns as the strings that type inference expects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sagewatch.errors import RejectedInputError
from sagewatch.quality.payload import Row, UnreadablePayloadError, flatten, spell
from sagewatch.quality.profile import MOST_COLUMNS, Batch, Shape
from sagewatch.quality.readout import Readout
from sagewatch.quality.rows import ROWS_A_BATCH

_PLAIN: Final = (str, int, float, bool, type(None))
# Between these Arrow writes a double as Python does, beyond them in another way.
_SMALLEST_ALIKE, _LARGEST_ALIKE = 1e-4, 1e10


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
    """A typed column as strings, each value as ``spell`` writes it; NaN and infinities are missing, a truth value is lower case.

    Examples
    --------
    >>> import pyarrow
    >>> spell_column(pyarrow.array([1.0, 0.5, 1e-7, float("nan"), None])).to_pylist()
    ['1.0', '0.5', '1e-07', None, None]
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        return _spell_floats(pc.cast(column, pa.float64()))
    try:
        return _whole(pc.cast(column, pa.string()))
    except pa.ArrowException:
        return pa.array([spell(value) for value in column.to_pylist()], pa.string())


def _spell_floats(values: pa.DoubleArray) -> pa.StringArray:
    finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    text = pc.cast(finite, pa.string())
    bare = pc.invert(pc.match_substring_regex(text, "[.eE]"))
    text = pc.if_else(bare, pc.binary_join_element_wise(text, ".0", ""), text)
    size = pc.abs(finite)
    tiny = pc.and_(pc.less(size, _SMALLEST_ALIKE), pc.not_equal(size, 0.0))
    other = pc.or_(tiny, pc.greater_equal(size, _LARGEST_ALIKE))
    if not pc.any(other).as_py():
        return _whole(text)
    spelled = [spell(value) for value in finite.filter(other).to_pylist()]
    return _whole(pc.replace_with_mask(text, other, pa.array(spelled, pa.string())))


def spell_row(record: Mapping[str, Any], fields: Iterable[pa.Field]) -> Row:
    """A row of these columns, nested records with dotted names; spelled as ``spell_column`` does what is still of their types."""
    row: Row = []
    # A stack, not recursion: a hostile file may be deep.
    pending = _list_cells(record, fields)
    while pending:
        name, value, type_ = pending.pop()
        if type_ is not None and pa.types.is_struct(type_) and isinstance(value, dict | None):
            given = dict.fromkeys(one.name for one in type_) if value is None else value
            pending += _list_cells(given, type_, f"{name}.")
        elif type_ is None or isinstance(value, dict):
            row += flatten(value, name)
        else:
            row.append((name, _spell_cell(value, type_)))
        if len(row) > MOST_COLUMNS or len(pending) > 2 * MOST_COLUMNS:
            raise UnreadablePayloadError("too_many_columns")
    return row


def _list_cells(
    record: Mapping[str, Any], fields: Iterable[pa.Field], prefix: str = ""
) -> list[tuple[str, Any, pa.DataType | None]]:
    types = {field.name: field.type for field in fields}
    return [(f"{prefix}{key}", record[key], types.get(key)) for key in reversed(list(record))]


def _spell_cell(value: object, type_: pa.DataType) -> str | None:
    if isinstance(value, _PLAIN):
        return spell(value)
    try:
        return spell_column(pa.array([value], type_))[0].as_py()  # type: ignore[no-any-return]
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return spell(value)  # a script put it there


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
