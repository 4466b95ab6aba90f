"""Reads what smdebug writes: an event file's tensors and a step's index, without smdebug.

In: the bytes of one file, fetched once (smdebug fetches each tensor by itself). Out: arrays by name. Arrays of numbers cannot be
written to.

Source of the messages' field numbers: tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto
and framework/tensor_shape.proto, which smdebug copied; the index is smdebug/core/tfevent/index_file_writer.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.explain.wire import BrokenTensorFileError, Cursor, read_fields, read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVENT_SUMMARY, _SUMMARY_VALUE = 5, 1
_VALUE_TAG, _VALUE_TENSOR = 1, 8
_TENSOR_DTYPE, _TENSOR_SHAPE, _TENSOR_CONTENT, _TENSOR_STRINGS = 1, 2, 4, 8
_SHAPE_DIMENSION, _DIMENSION_SIZE = 2, 1
_MOST_DIMENSIONS: Final = 32
# tensorflow/core/framework/types.proto. smdebug's own reader takes DT_INT8 (6) for unsigned; it is signed.
_DTYPES: Final = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 8: "<c8", 9: "<i8",
    10: "?", 17: "<u2", 18: "<c16", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip


@dataclass(frozen=True)
class StepIndex:
    """The index of one step: which event file holds it, and which tensors are in it.

    Parameters
    ----------
    event_file
        Path of the event file, relative to the worker's directory; never leads out of it.
    mode
        smdebug's mode, such as ``PREDICT``.
    tensor_names
        Every tensor of the step.
    """

    event_file: PurePosixPath
    mode: str
    tensor_names: frozenset[str]


def parse_event_file(data: bytes | memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read every tensor of an event file.

    Parameters
    ----------
    data
        The whole file.
    where
        Its name, for errors.

    Returns
    -------
    dict[str, NDArray]
        By tensor name; of two with one name the later one stays. Read-only; NaN and infinity pass as they are.
        Empty for an empty file.

    Raises
    ------
    BrokenTensorFileError
        When the bytes are no event file, or a tensor is of a kind that smdebug never writes.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for event in read_frames(memoryview(data).cast("B"), where):
        for value in _submessages(event, _EVENT_SUMMARY, _SUMMARY_VALUE):
            name, tensor = "", None
            for number, field in read_fields(value):
                if number == _VALUE_TAG and isinstance(field, Cursor):
                    name = _text(field)
                elif number == _VALUE_TENSOR and isinstance(field, Cursor):
                    tensor = field
            if tensor is None or not name:
                raise value.broken("a value has no name or no tensor")
            tensors[name] = _parse_tensor(tensor)
    return tensors


def parse_index(data: bytes, where: str) -> StepIndex:
    """Read a step's index.

    Raises
    ------
    BrokenTensorFileError
        When it is not smdebug's JSON, or names an event file outside the worker's directory.
    """
    try:
        index = json.loads(data)
        event_file = PurePosixPath(index["meta"]["event_file_name"])
        mode = str(index["meta"]["mode"])
        names = frozenset(str(entry["tensorname"]) for entry in index["tensor_payload"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenTensorFileError(f"no index of a step ({error!r})", where=where) from error
    if event_file.is_absolute() or ".." in event_file.parts or event_file.suffix != ".tfevents":
        raise BrokenTensorFileError(
            f"the index names {str(event_file)!r}, which is no event file", where=where
        )
    return StepIndex(event_file, mode, names)


def _submessages(message: Cursor, outer: int, inner: int) -> list[Cursor]:
    """The messages in field `inner` of the messages in field `outer`."""
    found = []
    for number, field in read_fields(message):
        if number == outer and isinstance(field, Cursor):
            found += [sub for n, sub in read_fields(field) if n == inner and isinstance(sub, Cursor)]
    return found


def _text(field: Cursor) -> str:
    try:
        return str(field.bytes, "utf-8")
    except UnicodeDecodeError as error:
        raise field.broken("a text is not UTF-8") from error


def _parse_tensor(tensor: Cursor) -> NDArray[Any]:
    start, code = Cursor(tensor.data, tensor.position, tensor.end, tensor.where), 0
    shape: tuple[int, ...] = ()
    content: Cursor | None = None
    strings: list[str] = []
    for number, field in read_fields(tensor):
        if isinstance(field, int):
            code = field if number == _TENSOR_DTYPE else code
        elif number == _TENSOR_SHAPE:
            shape = _parse_shape(field)
        elif number == _TENSOR_CONTENT:
            content = field
        elif number == _TENSOR_STRINGS:
            strings.append(_text(field))
    if code == 0:  # smdebug leaves the kind of a tensor of texts out
        # Each text by itself: one array of the longest one's width would let a few bytes ask for any memory.
        return np.array(strings, dtype=object)
    if code not in _DTYPES:
        raise start.broken(f"a tensor is of the unknown kind {code}")
    dtype = np.dtype(_DTYPES[code])
    held = 0 if content is None else content.end - content.position
    if held != math.prod(shape) * dtype.itemsize:
        raise start.broken(f"a tensor of shape {shape} and kind {dtype} has {held} bytes")
    # A copy, because a tensor starts at any byte of the file and numpy is several times slower on unaligned numbers.
    return np.frombuffer(b"" if content is None else bytes(content.bytes), dtype=dtype).reshape(shape)


def _parse_shape(message: Cursor) -> tuple[int, ...]:
    sizes: list[int] = []
    for number, dimension in read_fields(message):
        if number == _SHAPE_DIMENSION and isinstance(dimension, Cursor):
            # A size of zero is left out on the wire, as protobuf does with every zero.
            given = [
                value
                for n, value in read_fields(dimension)
                if n == _DIMENSION_SIZE and isinstance(value, int)
            ]
            sizes.append(given[-1] if given else 0)
    if len(sizes) > _MOST_DIMENSIONS or any(size >= 1 << 40 for size in sizes):
        raise message.broken(f"a tensor has the shape {tuple(sizes)}")
    return tuple(sizes)
