"""Event files and indexes: read as smdebug reads them, and refused by file and byte where they are broken."""

from __future__ import annotations

import json
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.explain.tensorfile import parse_event_file, parse_index
from sagewatch.explain.wire import BrokenTensorFileError, masked_crc32c

pytestmark = pytest.mark.filterwarnings("ignore:tostring:DeprecationWarning")


def frame(payload, checksum=None):
    header = struct.pack("<Q", len(payload))
    footer = masked_crc32c(payload) if checksum is None else checksum
    return header + struct.pack("<I", masked_crc32c(header)) + payload + struct.pack("<I", footer)


def field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def event(tensor, name=b"x"):
    return frame(field(5, field(1, field(1, name) + field(8, tensor))))


def shape(*sizes):
    return field(2, b"".join(field(2, b"\x08" + bytes([size])) for size in sizes))


@pytest.fixture(scope="module")
def writer():
    pytest.importorskip("smdebug")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from smdebug.core.writer import FileWriter
    return FileWriter


def read_with_smdebug(path, check="minimal"):
    from smdebug.core.tfevent.event_file_reader import EventFileReader

    return {name: value for name, _, value, _, _ in EventFileReader(str(path)).read_tensors(check)}


def test_every_tensor_of_a_recording_is_read_as_smdebug_reads_it(recording):
    files = sorted(recording.rglob("*.tfevents"))
    assert len(files) == 5
    for path in files:
        ours, theirs = parse_event_file(path.read_bytes(), str(path)), read_with_smdebug(path)
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name].dtype == value.dtype, name
            assert np.array_equal(ours[name], value), name


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i4", "i8", "?", "c16"])
def test_every_kind_that_smdebug_reads_back_is_read_alike(writer, tmp_path, dtype, checksums):
    value = np.arange(24).reshape(2, 3, 4).astype(dtype)
    out = writer(trial_dir=str(tmp_path), step=7, worker="worker_0", write_checksum=checksums)
    out.write_tensor(value, "some/tensor")
    out.write_tensor(np.asfortranarray(value[0]), "another")
    out.close()
    [path] = tmp_path.rglob("*.tfevents")
    ours = parse_event_file(path.read_bytes(), "x")
    theirs = read_with_smdebug(path, "full" if checksums else "minimal")
    assert ours["some/tensor"].dtype == value.dtype
    for name in ("some/tensor", "another"):
        assert np.array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "u4", "u8", "c8"])
def test_kinds_that_smdebug_writes_but_cannot_read_are_read(writer, tmp_path, dtype):
    value = np.array([[1, 100], [3, 4]]).astype(dtype) * (-1 if dtype[0] == "i" else 1)
    out = writer(trial_dir=str(tmp_path), step=0, worker="worker_0")
    out.write_tensor(value, "t")
    out.close()
    [path] = tmp_path.rglob("*.tfevents")
    read = parse_event_file(path.read_bytes(), "x")["t"]
    assert read.dtype == value.dtype
    assert np.array_equal(read, value)


def test_texts_scalars_and_empty_tensors_are_read(writer, tmp_path):
    out = writer(trial_dir=str(tmp_path), step=0, worker="worker_0")
    out.write_tensor(np.array(["stop", "Überholverbot"]), "texts")
    out.write_tensor(np.float32(2.5), "scalar")
    out.write_tensor(np.zeros((0, 3), np.float32), "empty")
    out.close()
    [path] = tmp_path.rglob("*.tfevents")
    read = parse_event_file(path.read_bytes(), "x")
    assert read["texts"].tolist() == ["stop", "Überholverbot"]
    assert float(np.ravel(read["scalar"])[0]) == 2.5
    assert read["empty"].shape == (0, 3)


def test_one_long_text_among_many_short_ones_asks_for_no_more_memory_than_the_file_has():
    """One array of the longest one's width would be 400 GB."""

    def long_field(number, content):
        length, size = bytearray(), len(content)
        while size > 127:
            length.append(size & 127 | 128)
            size >>= 7
        return bytes([number << 3 | 2]) + bytes([*length, size]) + content

    tensor = long_field(8, b"a" * 1_000_000) + long_field(8, b"") * 100_000
    value = long_field(1, b"x") + long_field(8, tensor)
    read = parse_event_file(frame(long_field(5, long_field(1, value))), "x")["x"]
    assert (read.shape, len(read[0]), read[-1]) == ((100_001,), 1_000_000, "")


def test_nan_and_infinity_pass_as_they_are():
    content = np.array([np.nan, np.inf], "<f4").tobytes()
    read = parse_event_file(event(b"\x08\x01" + shape(2) + field(4, content)), "x")["x"]
    assert np.isnan(read[0])
    assert np.isinf(read[1])


def test_an_empty_file_has_no_tensors():
    assert parse_event_file(b"", "x") == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00" * 5, "a frame's header needs 12 bytes, 5 are left"),
        (b"\x01" + b"\x00" * 15, "checksum"),
        (frame(b"payload")[:-6], "needs"),
        (frame(b"payload", checksum=1), "payload has the wrong checksum"),
        (frame(b"\xff" * 20), "a number does not end"),
        (frame(b"\x2a\x7f\x01"), "field 5 needs 127 bytes, 1 are left"),
        (frame(b"\x2b"), "of the unknown kind 3"),
        (event(b"\x08\x01" + shape(3) + field(4, b"1234")), "has 4 bytes"),
        (event(b"\x08\x63" + shape(1) + field(4, b"1234")), "unknown kind 99"),
        (event(b"\x08\x01" + field(2, field(2, b"\x08" + b"\xff" * 9 + b"\x01"))), "has the shape"),
        (event(b"\x08\x01" + shape(*[1] * 25)), "has 0 bytes"),
        (event(b"\x08\x01", name=b""), "no name or no tensor"),
        (event(b"", name=b"\xff"), "not UTF-8"),
        (frame(field(5, field(1, field(1, b"scalar")))), "no name or no tensor"),
    ],
)
def test_broken_bytes_are_refused_with_file_and_offset(data, reason):
    with pytest.raises(BrokenTensorFileError, match=reason) as broken:
        parse_event_file(data, "a.tfevents")
    assert broken.value.where == "a.tfevents"
    assert 0 <= broken.value.offset <= len(data)
    assert f"byte {broken.value.offset}" in str(broken.value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_read_or_refused_never_anything_else(data, framed):
    try:
        parse_event_file(frame(data) if framed else data, "x")
    except BrokenTensorFileError:
        return


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_recorded_file_with_changed_bytes_is_read_or_refused(data):
    content = np.arange(6, dtype="<f4").tobytes()
    whole = event(b"\x08\x01" + shape(2, 3) + field(4, content)) * 3
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
        if changed:
            changed[place % len(changed)] = value
    try:
        parse_event_file(bytes(changed), "x")
    except BrokenTensorFileError:
        return


def index_of(**changes):
    index = {
        "meta": {"mode": "PREDICT", "mode_step": 3, "event_file_name": "events/000000000003/a.tfevents"},
        "tensor_payload": [{"tensorname": "x", "start_idx": 0, "length": 3}],
        "shape_payload": [],
    }
    return json.dumps({**index, **changes}).encode()


def test_an_index_names_its_event_file_and_its_tensors():
    index = parse_index(index_of(), "i.json")
    assert str(index.event_file) == "events/000000000003/a.tfevents"
    assert (index.mode, index.tensor_names) == ("PREDICT", {"x"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        index_of(meta=None),
        index_of(tensor_payload=[3]),
        index_of(tensor_payload=None),
        index_of(meta={"mode": "PREDICT", "event_file_name": "../../secret.tfevents"}),
        index_of(meta={"mode": "PREDICT", "event_file_name": "/etc/a.tfevents"}),
        index_of(meta={"mode": "PREDICT", "event_file_name": "events/a.json"}),
    ],
)
def test_an_index_that_is_none_is_refused_with_its_file(data):
    with pytest.raises(BrokenTensorFileError) as broken:
        parse_index(data, "i.json")
    assert broken.value.where == "i.json"


def test_the_checksum_is_the_published_one():
    # RFC 3720 B.4: CRC-32C of 32 zero bytes is 0x8a9136aa; TFRecord rotates and shifts it.
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
