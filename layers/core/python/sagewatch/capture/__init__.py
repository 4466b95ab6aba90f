"""Bytes of a capture file in, predictions in file order and rejected lines out. Pure: nothing here does I/O of its own.

Formats: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

from sagewatch.capture.location import CaptureLocation, parse_key
from sagewatch.capture.reader import Readout, RejectedLine, read_capture
from sagewatch.capture.record import Payload, Record, pick_lines, read_record
from sagewatch.capture.segment import Segment, decode_segment, encode_segment, split_segment
from sagewatch.capture.spec import CaptureSpec

__all__ = [
    "CaptureLocation",
    "CaptureSpec",
    "Payload",
    "Readout",
    "Record",
    "RejectedLine",
    "Segment",
    "decode_segment",
    "encode_segment",
    "parse_key",
    "pick_lines",
    "read_capture",
    "read_record",
    "split_segment",
]
