"""What the endpoint answers, and how it refuses."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sagemaker_inference.errors import BaseInferenceToolkitError

from tests.endpoint_under_test import encode_npy

NPY = "application/x-npy"


def encode(pixels, image_format):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=image_format)
    return buffer.getvalue()


def png_of_size(width, height):
    """A PNG that promises a size and holds next to nothing: a decompression bomb."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def npy_that_promises(shape, dtype="|u1", data=b""):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (NPY, encode_npy),
        ("image/png", lambda pixels: encode(pixels, "PNG")),
        ("image/jpeg", lambda pixels: encode(pixels, "JPEG")),
        ("image/PNG; charset=binary", lambda pixels: encode(pixels, "PNG")),
        (NPY, lambda pixels: encode_npy(np.asfortranarray(pixels))),
    ],
    ids=["npy", "png", "jpeg", "png with a parameter", "npy in Fortran's order"],
)
def test_a_stop_sign_is_answered_with_class_14_and_its_confidence(endpoint, plain, sign, content_type, body):
    answer, answered_type = endpoint.inference.transform_fn(
        plain, body(sign), content_type, "application/json"
    )
    [[class_id, confidence]] = json.loads(answer)
    assert (class_id, answered_type) == (14, "application/json")
    assert 0.5 < confidence <= 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "I;16"])
def test_a_png_of_any_kind_is_read(endpoint, plain, sign, mode):
    image = Image.fromarray(sign)
    image = image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    answer, _ = endpoint.inference.transform_fn(plain, buffer.getvalue(), "image/png", "*/*")
    assert len(json.loads(answer)[0]) == 2


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/csv", b"1,2,3", 415),
        ("", b"x", 415),
        (None, b"x", 415),
        (NPY, b"", 400),
        (NPY, "text", 400),
        (NPY, b"\x93NUMPY", 400),
        (NPY, b"no array at all", 400),
        (NPY, encode_npy(np.zeros((4, 4), np.uint8)), 400),
        (NPY, encode_npy(np.zeros((4, 4, 4), np.uint8)), 400),
        (NPY, encode_npy(np.zeros((4, 4, 3), np.float32)), 400),
        (NPY, encode_npy(np.zeros((0, 4, 3), np.uint8)), 400),
        (NPY, encode_npy(np.zeros((8, 8, 3), np.uint8))[:-1], 400),
        (NPY, npy_that_promises((1 << 40, 1 << 20, 3)), 413),
        (NPY, npy_that_promises((-4, 4, 3)), 400),
        (NPY, npy_that_promises((4, 4, 3), dtype="|O", data=b"cos\nsystem\n"), 400),
        (NPY, npy_that_promises("(((((((((" * 900), 400),
        ("image/png", b"\xff\xd8\xff", 400),
        ("image/jpeg", png_of_size(4, 4), 400),
        ("image/png", png_of_size(4, 4)[:-26], 400),
        ("image/png", png_of_size(60_000, 60_000), 413),
        ("image/png", png_of_size(0, 4), 400),
    ],
)
def test_bad_input_gets_a_4xx_with_one_sentence(endpoint, plain, content_type, body, status):
    with pytest.raises(BaseInferenceToolkitError) as refused:
        endpoint.inference.transform_fn(plain, body, content_type, "application/json")
    assert refused.value.status_code == status
    assert refused.value.message.endswith(".")
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("accept", ["text/csv", "application/x-npy", "image/png, text/html"])
def test_an_answer_that_json_is_not_is_refused(endpoint, plain, sign, accept):
    with pytest.raises(BaseInferenceToolkitError) as refused:
        endpoint.inference.transform_fn(plain, encode_npy(sign), NPY, accept)
    assert refused.value.status_code == 406


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([NPY, "image/png", "image/jpeg"]),
    cut=st.integers(0, 400),
    flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 255)), max_size=6),
)
def test_a_body_of_broken_bytes_is_read_or_refused_never_a_server_error(endpoint, sign, kind, cut, flips):
    body = bytearray(
        {NPY: encode_npy(sign), "image/png": encode(sign, "PNG"), "image/jpeg": encode(sign, "JPEG")}[kind]
    )
    del body[len(body) - cut :]
    for place, change in flips:
        body[place % len(body)] ^= change
    try:
        answer = tuple(endpoint.inference.read_image(bytes(body), kind).shape)
    except BaseInferenceToolkitError as refused:
        answer = refused.status_code
    assert answer in {(1, 3, 128, 128), 400, 413}


def test_the_inference_toolkit_turns_a_refusal_into_its_status(endpoint, sign, monkeypatch):
    from sagemaker_inference.transformer import Transformer

    from sagewatch.sandbox.sagemaker.hosting import RequestContext
    from tests.endpoint_under_test import WEIGHTS

    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference.py")
    transformer = Transformer()
    for content_type, body, status in [("text/csv", b"1", 415), (NPY, encode_npy(sign), 200)]:
        context = RequestContext(str(WEIGHTS.parent), {"Content-Type": content_type})
        transformer.transform([{"body": body}], context)
        assert context.status == status
