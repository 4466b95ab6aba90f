"""Explains chosen steps into a directory: the pictures, and the facts that `explanations.json` lists."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain import heatmap, names
from sagewatch.explain.fullgrad import Explanation, explain
from sagewatch.explain.groups import Shown, compare_groups
from sagewatch.explain.region import CENTRE, Region, even_share, outside_share
from sagewatch.explain.selection import Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sagewatch.explain.comparison import Comparison
    from sagewatch.explain.selection import Chosen
    from sagewatch.explain.trial import StepFile, TrialReader

SCHEMA: Final = 1
FULL: Final = "full"  # pictures that a page shows smaller, as the model saw them
_LONGEST_NAME: Final = 80  # of a worker in a file's name, which may have 255 bytes


@dataclass(frozen=True)
class KnownRequest:
    """What is known of a request from the data capture: its id and place there, and its role in the incident."""

    request_id: str
    role: str
    where: str = ""


@dataclass(frozen=True)
class Question:
    """What the pictures are to answer.

    Parameters
    ----------
    suspect_class
        The class that the finding names; None where it names none.
    class_names
        Names of the classes by number.
    requests
        What is known of requests, by the SHA-256 of their bodies in hex.
    region
        Where in a picture the model is expected to look.
    """

    suspect_class: int | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    requests: Mapping[str, KnownRequest] = field(default_factory=dict)
    region: Region = CENTRE


@dataclass(frozen=True)
class ExplainedImage:
    """One image of the report; paths are relative to the output, `completeness_relative_error` is None when not finite.

    `probability` is None where the model's outputs do not tell it.
    `looks_past_region` warns: more of the relevance lies outside the region of interest than a map without any
    preference has there (`even_outside_share`). Of a map that does not add up nothing is said.
    `request_digest` is the SHA-256 of the request's body, by which it is found again in the data capture.
    """

    worker: str
    step: int
    class_id: int
    class_name: str
    probability: float | None
    logit: float
    completeness_relative_error: float | None
    completeness_ok: bool
    outside_roi_share: float
    even_outside_share: float
    looks_past_region: bool
    heatmap: str
    input: str
    overlay: str
    role: str
    request_digest: str
    request_id: str
    request_where: str
    unsupported: tuple[str, ...]


@dataclass(frozen=True)
class ExplanationReport:
    """What a saliency job found, in the order of its pictures.

    Parameters
    ----------
    means
        Paths of the comparison's pictures: ``suspicious``, ``others``, ``difference``; none without a comparison.
    region
        The region of interest that shares are counted by.
    added_milliseconds
        What the backward pass, nearly all that recording adds, took of the median answer of the endpoint, as the hook
        measured it. None where nothing was recorded live: what the job ran for itself made nobody wait.
    notes
        What the job could not do, in sentences.
    """

    images: list[ExplainedImage]
    skipped: list[Skipped]
    comparison: Comparison | None = None
    means: Mapping[str, str] = field(default_factory=dict)
    region: Region = CENTRE
    added_milliseconds: float | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The content of `explanations.json`; the largest error is None without an image, or when one is not finite."""
        errors = [image.completeness_relative_error for image in self.images]
        finite = [error for error in errors if error is not None]
        return {
            "schema": SCHEMA,
            "images": [_renamed(asdict(image)) for image in self.images],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "comparison": asdict(self.comparison) if self.comparison else None,
            "means": dict(self.means),
            "region": asdict(self.region),
            "notes": list(self.notes),
            "added_milliseconds": self.added_milliseconds,
            "completeness_max_relative_error": max(finite) if finite and len(finite) == len(errors) else None,
        }


def explain_steps(
    chosen: Sequence[Chosen], reader: TrialReader, output: Path, question: Question
) -> ExplanationReport:
    """Explain each step and write its three pictures, for a page and where that is smaller in full; a step that cannot be explained is skipped with the reason.

    Where there are suspicious inputs and others, their mean maps are compared, and drawn in `means/`.

    Raises
    ------
    OSError
        When a picture cannot be written.
    """
    images: list[ExplainedImage] = []
    skipped: list[Skipped] = []
    shown: list[Shown] = []
    added: list[float] = []
    for room in ("heatmaps", "inputs", "overlays"):
        (output / room).mkdir(parents=True, exist_ok=True)
    for one in chosen:
        try:
            tensors = reader.read(one.file).tensors
            explanation = explain(tensors, one.file.name)
        except RejectedInputError as error:
            skipped.append(Skipped(one.file.name, str(error)))
            continue
        image = _write_pictures(one, explanation, tensors, len(images) + 1, output, question)
        images.append(image)
        shown.append(Shown(image.role, image.request_digest, explanation))
        added += _measure(tensors) if one.live else []
    comparison, means = compare_groups(shown, question.suspect_class, question.region, output)
    return ExplanationReport(
        images, skipped, comparison, means, question.region, statistics.median(added) if added else None
    )


def _measure(tensors: Mapping[str, NDArray[Any]]) -> list[float]:
    """Milliseconds that the hook added to one answer; nothing where its recording does not say."""
    seconds = np.ravel(tensors.get(names.SECONDS, ()))
    if seconds.size != len(("forward", "all")) or seconds.dtype.kind != "f" or not np.isfinite(seconds).all():
        return []
    return [1e3 * float(seconds[1] - seconds[0])]


def _read_digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 of the request's body in hex; empty where the recording has none."""
    digest = tensors.get(names.REQUEST)
    return digest.tobytes().hex() if digest is not None and digest.dtype == np.uint8 else ""


def _write_pictures(
    chosen: Chosen,
    explanation: Explanation,
    tensors: Mapping[str, NDArray[Any]],
    number: int,
    output: Path,
    question: Question,
) -> ExplainedImage:
    class_name = question.class_names.get(explanation.class_id, f"class {explanation.class_id}")
    digest = _read_digest(tensors)
    # What came live has its role by what was recorded of it; only what was run here is known beforehand.
    known = None if chosen.role else question.requests.get(digest)
    file = chosen.file
    worker = re.sub(r"[^A-Za-z0-9_.-]+", "_", file.worker).strip(".")[-_LONGEST_NAME:] or "worker"
    base = f"{number:02d}_{worker}_{file.step}_class{explanation.class_id}.png"
    picture = heatmap.input_picture(explanation.image)
    heat = heatmap.heat_picture(explanation.saliency)
    overlay = heatmap.overlay_picture(picture, heat)
    outside = outside_share(explanation.saliency, question.region)
    even = even_share(explanation.saliency.shape, question.region)
    past = explanation.complete and outside > even
    caption = _caption(file, explanation, class_name, _tell_region(outside, even, past=past))
    panels = heatmap.side_by_side((picture, heatmap.outline_region(overlay, question.region), heat), caption)
    (output / "heatmaps" / base).write_bytes(heatmap.png_bytes(panels))
    for room, image in (("inputs", picture), ("overlays", overlay)):
        copy = heatmap.page_copy(image)
        (output / room / base).write_bytes(heatmap.png_bytes(copy))
        if copy is not image:
            (output / FULL / room).mkdir(parents=True, exist_ok=True)
            (output / FULL / room / base).write_bytes(heatmap.png_bytes(image))
    error = explanation.completeness_relative_error
    return ExplainedImage(
        file.worker, file.step, explanation.class_id, class_name, explanation.probability, explanation.logit,
        error if math.isfinite(error) else None, explanation.complete, outside, even, past,
        f"heatmaps/{base}", f"inputs/{base}", f"overlays/{base}",
        chosen.role or (known.role if known else ""), digest,
        known.request_id if known else "", known.where if known else "", explanation.unsupported,
    )  # fmt: skip


def _tell_region(outside: float, even: float, *, past: bool) -> str:
    told = f"{outside:.0%} of the relevance lies outside the region of interest"
    return f"WARNING, LOOKS PAST THE REGION: {told}, of an even map {even:.0%}" if past else told


def _caption(file: StepFile, explanation: Explanation, class_name: str, region: str) -> tuple[str, ...]:
    error = f"completeness error {explanation.completeness_relative_error:.1e}"
    broken = ", ".join(explanation.unsupported[:2])
    why = f" ({broken} breaks the sum)" if broken else " (no layer of the model has the rest)"
    verdict = error if explanation.complete else f"INCOMPLETE, do not trust: {error}{why}"
    chance = "not told" if explanation.probability is None else f"{explanation.probability:.1%}"
    colours = f" (colours a guess: {explanation.colours})" if explanation.colours else ""
    return (
        f"{class_name} (class {explanation.class_id}), probability {chance}",
        verdict,
        region,
        f"{file.name}: the input{colours}, the map over it with the region of interest, the map (red most relevant, blue least)",
    )


def _renamed(image: dict[str, Any]) -> dict[str, Any]:
    """`class` is a word of Python, so the field has another name."""
    return {"class" if key == "class_id" else key: value for key, value in image.items()}
