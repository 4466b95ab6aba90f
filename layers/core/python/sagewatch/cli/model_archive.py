"""The model archive that SageMaker's PyTorch container unpacks: weights, and ``code/``."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from sagewatch.errors import RejectedInputError

CODE_FILES = ("*.py", "requirements.txt")


def build_model_archive(code: Path, weights: Path) -> bytes:
    """``model.tar.gz`` as bytes: the same files give the same bytes, so its hash can name the model.

    Parameters
    ----------
    code
        A directory with ``inference.py``.
    weights
        The one ``*.pt`` file.

    Raises
    ------
    RejectedInputError
        A file that must be there is not.
    """
    for needed in (code / "inference.py", weights):
        if not needed.is_file():
            raise RejectedInputError("is not there; name it with --code and --weights", where=str(needed))
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted({found for pattern in CODE_FILES for found in code.glob(pattern)}):
            if path.name != "train.py":
                _add(tar, path, f"code/{path.name}")
        _add(tar, weights, weights.name)
    return buffer.getvalue()


def name_content(content: bytes) -> str:
    """Eight hexadecimal digits that stand for a content."""
    return hashlib.sha256(content).hexdigest()[:8]


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    body = path.read_bytes()
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(body), 0o644, 0
    tar.addfile(info, io.BytesIO(body))
