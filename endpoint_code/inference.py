"""The endpoint's one inference module, for the plain and for the hooked variant.

SageMaker's PyTorch containers call `model_fn` once per worker process and `transform_fn` once per request. In: an image
as `application/x-npy` (uint8, H x W x 3), `image/png` or `image/jpeg`. Out: JSON `[[class, confidence]]`.

The hook is on when the environment has `TENSORS_OUTPUT` (`s3://bucket/prefix`, or a directory): each request's tensors
are then recorded there for the explanation; `TENSORS_EVERY`, `TENSORS_MAX_REQUESTS` and `TENSORS_MAX_BYTES` bound it. The answer is the same bit for bit, and no failure of the hook reaches it.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import tokenize
import zlib
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from model import INPUT_SIDE, MEAN, STD, ResNet, load_weights, normalise
from PIL import Image
from sagemaker_inference.errors import BaseInferenceToolkitError

if TYPE_CHECKING:
    from debugger_hook import TensorRecorder
    from numpy.typing import NDArray

TENSORS_OUTPUT: Final = "TENSORS_OUTPUT"
NPY: Final = "application/x-npy"
JSON: Final = "application/json"
IMAGE_FORMATS: Final = {"image/png": "PNG", "image/jpeg": "JPEG"}
# A camera's frame is far below this; a decompression bomb is far above.
MAX_PIXELS: Final = 16_000_000
_ACCEPTED: Final = frozenset({"", "*/*", "application/*", JSON})
# What Pillow and numpy raise on broken input, depending on where they notice.
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError, RecursionError, TypeError,
    struct.error, zlib.error, tokenize.TokenError, Image.DecompressionBombError,
)  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Classifier:
    """What `model_fn` hands to `transform_fn`: the model, and the recorder where the hook is on."""

    model: ResNet
    recorder: TensorRecorder | None = None

    def predict(self, x: torch.Tensor, body: bytes = b"") -> torch.Tensor:
        """Logits (1, classes) of one normalised image (1, 3, 128, 128); `body` is the request that it came in."""
        if self.recorder is not None:
            logits = self.recorder.predict(x, body)
            if logits is not None:
                return logits
        with torch.inference_mode():
            return self.model(x)


def model_fn(model_dir: str) -> Classifier:
    """Load the one `*.pt` file under the model directory; start the hook when `TENSORS_OUTPUT` is set."""
    # One worker process per core is SageMaker's way to use the cores; threads on top of it would fight for them.
    torch.set_num_threads(1)
    files = sorted(Path(model_dir).rglob("*.pt"))
    if len(files) != 1:
        message = f"model directory {model_dir} must hold exactly one *.pt file, not {len(files)}"
        raise FileNotFoundError(message)
    model = load_weights(files[0])
    return Classifier(model, _start_recorder(model, os.environ.get(TENSORS_OUTPUT, "")))  # noqa: TID251 - no settings.py here


def transform_fn(
    classifier: Classifier, body: bytes | str, content_type: str, accept: str
) -> tuple[str, str]:
    """Answer one request: JSON `[[class, confidence]]`, confidence with six digits, and its content type.

    Raises
    ------
    BaseInferenceToolkitError
        Status 400, 406, 413 or 415 with a sentence, when the request is at fault.
    """
    if not any(kind.split(";")[0].strip() in _ACCEPTED for kind in (accept or "").split(",")):
        raise _refusal(
            HTTPStatus.NOT_ACCEPTABLE, f"The answer is {JSON}, which Accept: {accept!r} does not allow."
        )
    pixels = read_image(body, content_type)
    probabilities = torch.softmax(classifier.predict(normalise(pixels), bytes(body)), 1)[0]
    class_id = int(probabilities.argmax())
    return json.dumps([[class_id, round(float(probabilities[class_id]), 6)]], allow_nan=False), JSON


def read_image(body: bytes | str, content_type: str) -> torch.Tensor:
    """A request's image as the model's pixels: uint8 (1, 3, 128, 128), RGB.

    Raises
    ------
    BaseInferenceToolkitError
        Status 400, 413 or 415 with a sentence, when there is no such image in the body.
    """
    kind = (content_type or "").split(";")[0].strip().lower()
    if kind != NPY and kind not in IMAGE_FORMATS:
        known = ", ".join([NPY, *IMAGE_FORMATS])
        raise _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content type {kind!r} is not one of {known}.")
    if isinstance(body, str) or not body:
        raise _refusal(HTTPStatus.BAD_REQUEST, "The body is empty or text; an image is needed.")
    try:
        image = _read_npy(bytes(body)) if kind == NPY else _read_picture(bytes(body), IMAGE_FORMATS[kind])
        small = image.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR)
    except Image.DecompressionBombError as error:
        sentence = f"The image has more pixels than the limit of {MAX_PIXELS}."
        raise _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence) from error
    except _BROKEN as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise _refusal(HTTPStatus.BAD_REQUEST, f"The body is no readable {kind}: {cause}.") from error
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).unsqueeze(0)


def _read_picture(body: bytes, image_format: str) -> Image.Image:
    with Image.open(BytesIO(body), formats=[image_format]) as image:
        _check_size(image.width, image.height)
        return image.convert("RGB")


def _read_npy(body: bytes) -> Image.Image:
    """Check what the header promises before numpy reserves memory for it."""
    file = BytesIO(body)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        message = f"npy version {version[0]}.{version[1]} is not read, write 1.0"
        raise ValueError(message)
    shape, _, dtype = readers[version](file)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:  # noqa: PLR2004 - H x W x RGB
        message = f"an array of uint8 with shape H x W x 3 is needed, not {dtype} with shape {shape}"
        raise ValueError(message)
    _check_size(shape[1], shape[0])
    if len(body) - file.tell() != shape[0] * shape[1] * 3:
        message = f"shape {shape} needs {shape[0] * shape[1] * 3} bytes, there are {len(body) - file.tell()}"
        raise ValueError(message)
    pixels: NDArray[np.uint8] = np.load(BytesIO(body), allow_pickle=False)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise _refusal(HTTPStatus.BAD_REQUEST, f"The image has no pixels ({width} x {height}).")
    if width * height > MAX_PIXELS:
        raise _refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The image has {width} x {height} pixels, the limit is {MAX_PIXELS}.",
        )


def _refusal(status: HTTPStatus, sentence: str) -> BaseInferenceToolkitError:
    return BaseInferenceToolkitError(int(status), sentence, sentence)


def _start_recorder(model: ResNet, output: str) -> TensorRecorder | None:
    if not output:
        return None
    try:
        from debugger_hook import Limits, TensorRecorder  # noqa: PLC0415 - the plain variant needs no hook

        limits = Limits(
            every=_read_limit("TENSORS_EVERY") or 1,
            max_requests=_read_limit("TENSORS_MAX_REQUESTS"),
            max_bytes=_read_limit("TENSORS_MAX_BYTES"),
        )
        return TensorRecorder(model, output, limits, (MEAN, STD))
    except Exception:  # noqa: BLE001 - whatever is wrong with the hook, the endpoint answers
        _log.exception("tensor_recorder_not_started")
        return None


def _read_limit(name: str) -> int | None:
    text = os.environ.get(name, "")  # noqa: TID251 - no settings.py here
    return max(1, int(text)) if text else None
