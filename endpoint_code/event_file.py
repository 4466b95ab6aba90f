"""smdebug's files of one step, encoded: TFRecord frames around TensorFlow's Event messages, and the index beside them.

Byte for byte what smdebug 1.0.34 writes (a test compares), without its threads, its protobuf of 2022 and its import of
half a second. Sources: tensorflow/core/lib/io/record_writer.cc (frames), tensorflow/core/util/event.proto (messages).
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

WRITER: Final = "worker_0"
# tensorflow/core/framework/types.proto
_KINDS: Final = {
    "<f4": 1, "<f8": 2, "<i4": 3, "|u1": 4, "<i2": 5, "|i1": 6, "<i8": 9, "|b1": 10, "<u2": 17, "<f2": 19, "<u4": 22,
    "<u8": 23,
}  # fmt: skip
_CASTAGNOLI: Final = 0x82F63B78
_PREDICT: Final = b"3"  # smdebug's number of the mode


def encode_step(
    step: int, tensors: Mapping[str, NDArray[np.generic]], wall_time: float
) -> tuple[bytes, bytes]:
    """The event file and the index file of one step.

    Parameters
    ----------
    wall_time
        Seconds since 1970, which smdebug keeps with each tensor.

    Raises
    ------
    KeyError
        A tensor is of a kind that the format has not.
    """
    chunks: list[bytes] = []
    payload, position = [], 0
    for name, value in tensors.items():
        pieces = list(_encode_record(name, value, step, wall_time))
        length = sum(map(len, pieces))
        chunks += pieces
        payload.append({"tensorname": name, "start_idx": position, "length": length})
        position += length
    meta = {"mode": "PREDICT", "mode_step": step, "event_file_name": event_key(step)}
    index = {"meta": meta, "tensor_payload": payload, "shape_payload": []}
    return b"".join(chunks), json.dumps(index).encode()


def event_key(step: int) -> str:
    """Where a step's event file lies below its worker's prefix."""
    return f"events/{step:012d}/{step:012d}_{WRITER}.tfevents"


def index_key(step: int) -> str:
    """Where a step's index lies below its worker's prefix."""
    return f"index/{step // 1000:09d}/{step:012d}_{WRITER}.json"


def collections_file() -> tuple[str, bytes]:
    """The key and the content of the file by which smdebug knows that nobody else writes here."""
    content = {"collections": {}, "_meta": {"num_workers": 1}}
    return f"collections/000000000/{WRITER}_collections.json", json.dumps(content).encode()


def _encode_record(name: str, value: NDArray[np.generic], step: int, wall_time: float) -> Iterator[bytes]:
    """A frame around an Event with one tensor; its content is a piece of its own, so that it is not copied twice."""
    array = np.ascontiguousarray(value)
    tag = name.encode()
    dimensions = b"".join(
        _field(2, (b"\x08" + _varint(size) if size else b"") + _field(2, tag + b"_%d" % size))
        for size in value.shape
    )
    content = array.tobytes()
    head = b"\x08" + _varint(_KINDS[array.dtype.str]) + _field(2, dimensions)
    if content:
        head += b"\x22" + _varint(len(content))
    plugins = _field(1, _field(1, b"mode_step") + _field(2, b"%d" % step)) + _field(
        1, _field(1, b"mode") + _field(2, _PREDICT)
    )
    tail = _field(9, plugins)
    tensor_length = len(head) + len(content)
    value_head = _field(1, tag) + b"\x42" + _varint(tensor_length)
    value_length = len(value_head) + tensor_length + len(tail)
    summary_head = b"\x0a" + _varint(value_length)
    event_head = b"\x09" + struct.pack("<d", wall_time) + (b"\x10" + _varint(step) if step else b"")
    event_head += b"\x2a" + _varint(len(summary_head) + value_length)
    length = struct.pack("<Q", len(event_head) + len(summary_head) + value_length)
    yield length + struct.pack("<I", _masked_crc(length)) + event_head + summary_head + value_head + head
    yield content
    yield tail + _NO_CHECKSUM


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table_row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(_table_row(byte) for byte in range(256))
# smdebug writes the checksum of these bytes in place of the payload's.
_NO_CHECKSUM: Final = struct.pack("<I", _masked_crc(b"0x12345678"))
