"""The two encodings inside smdebug's event files: TFRecord frames around protobuf messages.

Only what is needed to read: frames, and a message's fields one level at a time. Bounds are checked before every
slice, so broken bytes end in `BrokenTensorFileError`, never in a crash, a hang or a huge allocation.

Sources: tensorflow/core/lib/io/record_writer.cc (frames), protobuf.dev/programming-guides/encoding (messages).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME_HEADER: Final = 12
_FRAME_FOOTER: Final = 4
_LONGEST_VARINT: Final = 10
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_CASTAGNOLI: Final = 0x82F63B78
# smdebug writes the checksum of these bytes in place of the payload's, unless told to compute it (record_writer.py).
_NO_CHECKSUM: Final = b"0x12345678"


class BrokenTensorFileError(RejectedInputError):
    """An event file or its index does not hold what its format promises.

    Parameters
    ----------
    reason
        What is wrong.
    where
        The file.
    offset
        The byte in it, counted from 0, where reading stopped; None where no single byte is at fault.
    """

    def __init__(self, reason: str, *, where: str, offset: int | None = None) -> None:
        super().__init__(reason, where=where, key=None if offset is None else f"byte {offset}")
        self.offset = offset


class Cursor:
    """A stretch of a file: where it starts, where it ends, and whose it is."""

    __slots__ = ("data", "end", "position", "where")

    def __init__(self, data: memoryview, position: int, end: int, where: str) -> None:
        self.data = data
        self.position = position
        self.end = end
        self.where = where

    def broken(self, reason: str) -> BrokenTensorFileError:
        """The error for what stands at this place."""
        return BrokenTensorFileError(reason, where=self.where, offset=self.position)

    def take(self, length: int, what: str) -> Cursor:
        """Step over `length` bytes and return them."""
        if length > self.end - self.position:
            raise self.broken(f"{what} needs {length} bytes, {self.end - self.position} are left")
        taken = Cursor(self.data, self.position, self.position + length, self.where)
        self.position += length
        return taken

    def varint(self) -> int:
        """The unsigned number in base 128 that starts here."""
        value, shift = 0, 0
        for position in range(self.position, min(self.position + _LONGEST_VARINT, self.end)):
            byte = self.data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follows
                self.position = position + 1
                return value
            shift += 7
        raise self.broken("a number does not end")

    @property
    def bytes(self) -> memoryview:
        """What is left of the stretch."""
        return self.data[self.position : self.end]


def read_frames(data: memoryview, where: str) -> Iterator[Cursor]:
    """Yield the payload of each TFRecord frame.

    Raises
    ------
    BrokenTensorFileError
        When a frame is cut off or a checksum is wrong.
    """
    file = Cursor(data, 0, len(data), where)
    while file.position < file.end:
        start = file.position
        header = bytes(file.take(_FRAME_HEADER, "a frame's header").bytes)
        length, checksum = struct.unpack("<QI", header)
        if checksum != masked_crc32c(header[:8]):
            file.position = start
            raise file.broken("a frame's length has the wrong checksum")
        payload = file.take(length, "a frame's payload")
        (checksum,) = struct.unpack("<I", file.take(_FRAME_FOOTER, "a frame's checksum").bytes)
        if checksum != _MASKED_NO_CHECKSUM and checksum != masked_crc32c(bytes(payload.bytes)):
            raise payload.broken("a frame's payload has the wrong checksum")
        yield payload


def read_fields(message: Cursor) -> Iterator[tuple[int, int | Cursor]]:
    """Yield the fields of a protobuf message: its number, and a number or the bytes.

    Raises
    ------
    BrokenTensorFileError
        When a field is cut off or of a kind that protobuf 3 has not.
    """
    while message.position < message.end:
        key = message.varint()
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            yield number, message.varint()
        elif kind == _LENGTH_DELIMITED:
            yield number, message.take(message.varint(), f"field {number}")
        elif kind == _FIXED64:
            yield number, message.take(8, f"field {number}")
        elif kind == _FIXED32:
            yield number, message.take(4, f"field {number}")
        else:
            raise message.broken(f"field {number} is of the unknown kind {kind}")


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as TFRecord does.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc_row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_CRC_TABLE: Final = tuple(_crc_row(byte) for byte in range(256))
_MASKED_NO_CHECKSUM: Final = masked_crc32c(_NO_CHECKSUM)
