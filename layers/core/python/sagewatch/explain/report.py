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
from sagewatch.explain.comparison import CLEAN, SUSPICIOUS, Comparison, Group, compare, mean_map
from sagewatch.explain.fullgrad import Explanation, explain
from sagewatch.explain.selection import Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sagewatch.explain.trial import StepFile, TrialReader

SCHEMA: Final = 1


@dataclass(frozen=True)
class KnownRequest:
    """What is known of a recorded request from the data capture: its id there, and its role in the incident."""

    request_id: str
    role: str


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
    """

    suspect_class: int | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    requests: Mapping[str, KnownRequest] = field(default_factory=dict)


@dataclass(frozen=True)
class ExplainedImage:
    """One image of the report; paths are relative to the output, `completeness_relative_error` is None when not finite.

    `request_digest` is the SHA-256 of the request's body, by which it is found again in the data capture.
    """

    worker: str
    step: int
    class_id: int
    class_name: str
    probability: float
    logit: float
    completeness_relative_error: float | None
    completeness_ok: bool
    outside_roi_share: float
    heatmap: str
    input: str
    overlay: str
    role: str
    request_digest: str
    request_id: str
    unsupported: tuple[str, ...]


@dataclass(frozen=True)
class ExplanationReport:
    """What a saliency job found, in the order of its pictures.

    `added_milliseconds` is what recording added to the median answer, as the hook measured it.
    """

    images: list[ExplainedImage]
    skipped: list[Skipped]
    comparison: Comparison | None = None
    added_milliseconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The content of `explanations.json`; the largest error is None without an image, or when one is not finite."""
        errors = [image.completeness_relative_error for image in self.images]
        finite = [error for error in errors if error is not None]
        return {
            "schema": SCHEMA,
            "images": [_renamed(asdict(image)) for image in self.images],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "comparison": asdict(self.comparison) if self.comparison else None,
            "added_milliseconds": self.added_milliseconds,
            "completeness_max_relative_error": max(finite) if finite and len(finite) == len(errors) else None,
        }


def explain_steps(
    steps: Sequence[StepFile], reader: TrialReader, output: Path, question: Question
) -> ExplanationReport:
    """Explain each step and write its three pictures; a step that cannot be explained is skipped with the reason.

    Where there are suspicious inputs and others, their mean maps are compared, and drawn in `means/`.

    Raises
    ------
    OSError
        When a picture cannot be written.
    """
    images: list[ExplainedImage] = []
    skipped: list[Skipped] = []
    maps: list[NDArray[np.float64]] = []
    added: list[float] = []
    for room in ("heatmaps", "inputs", "overlays"):
        (output / room).mkdir(parents=True, exist_ok=True)
    for file in steps:
        try:
            tensors = reader.read(file).tensors
            explanation = explain(tensors, file.name)
        except RejectedInputError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        images.append(_write_pictures(file, explanation, tensors, len(images) + 1, output, question))
        maps.append(explanation.saliency)
        added += _measure(tensors)
    comparison = _compare(images, maps, question, output)
    return ExplanationReport(images, skipped, comparison, statistics.median(added) if added else None)


def _measure(tensors: Mapping[str, NDArray[Any]]) -> list[float]:
    """Milliseconds that the hook added to one answer; nothing where its recording does not say."""
    seconds = np.ravel(tensors.get(names.SECONDS, ()))
    return [1e3 * float(seconds[1] - seconds[0])] if seconds.size == len(("forward", "all")) else []


def _compare(
    images: Sequence[ExplainedImage], maps: Sequence[NDArray[np.float64]], question: Question, output: Path
) -> Comparison | None:
    """Suspicious against clean inputs of the same class; where there are none, against whatever else there is."""
    named = list(zip(images, maps, strict=True))
    suspicious = [each for image, each in named if image.role == SUSPICIOUS]
    clean = [each for image, each in named if image.role == CLEAN]
    of_class = [
        each for image, each in named if image.role == CLEAN and image.class_id == question.suspect_class
    ]
    if of_class:
        others = Group("clean input of that class", of_class)
    elif clean:
        others = Group("clean input", clean)
    else:
        others = Group("input of another class", [each for image, each in named if image.role == "other"])
    comparison = compare(Group("suspicious input", suspicious), others)
    if comparison is not None:
        (output / "means").mkdir(exist_ok=True)
        for name, group in ((SUSPICIOUS, suspicious), ("others", others.maps)):
            mean = mean_map(group)
            picture = heatmap.heat_picture(mean / mean.max() if mean.max() > 0 else mean)
            (output / "means" / f"{name}.png").write_bytes(heatmap.png_bytes(picture))
    return comparison


def _write_pictures(
    file: StepFile,
    explanation: Explanation,
    tensors: Mapping[str, NDArray[Any]],
    number: int,
    output: Path,
    question: Question,
) -> ExplainedImage:
    class_name = question.class_names.get(explanation.class_id, f"class {explanation.class_id}")
    digest = np.asarray(tensors.get(names.REQUEST, ()), dtype=np.uint8).tobytes().hex()
    known = question.requests.get(digest)
    worker = re.sub(r"[^\w.-]+", "_", file.worker).strip(".") or "worker"
    base = f"{number:02d}_{worker}_{file.step}_class{explanation.class_id}.png"
    picture = heatmap.input_picture(explanation.image)
    heat = heatmap.heat_picture(explanation.saliency)
    overlay = heatmap.overlay_picture(picture, heat)
    outside = heatmap.outside_share(explanation.saliency)
    panels = heatmap.side_by_side((picture, overlay, heat), _caption(file, explanation, class_name, outside))
    for room, image in (("heatmaps", panels), ("inputs", picture), ("overlays", overlay)):
        (output / room / base).write_bytes(heatmap.png_bytes(image))
    error = explanation.completeness_relative_error
    return ExplainedImage(
        file.worker, file.step, explanation.class_id, class_name, explanation.probability, explanation.logit,
        error if math.isfinite(error) else None, explanation.complete, outside,
        f"heatmaps/{base}", f"inputs/{base}", f"overlays/{base}",
        known.role if known else _guess_role(explanation.class_id, question), digest, known.request_id if known else "",
        explanation.unsupported,
    )  # fmt: skip


def _guess_role(class_id: int, question: Question) -> str:
    """Live requests carry no role: those answered with the class that the finding names are suspicious."""
    if question.suspect_class is None:
        return ""
    return SUSPICIOUS if class_id == question.suspect_class else "other"


def _caption(file: StepFile, explanation: Explanation, class_name: str, outside: float) -> tuple[str, ...]:
    error = f"completeness error {explanation.completeness_relative_error:.1e}"
    why = f" ({', '.join(explanation.unsupported[:2])} breaks the sum)" if explanation.unsupported else ""
    verdict = error if explanation.complete else f"INCOMPLETE, do not trust: {error}{why}"
    return (
        f"{class_name} (class {explanation.class_id}), probability {explanation.probability:.1%}",
        f"{verdict}; {outside:.0%} of the relevance lies outside the middle",
        file.name,
    )


def _renamed(image: dict[str, Any]) -> dict[str, Any]:
    """`class` is a word of Python, so the field has another name."""
    return {"class" if key == "class_id" else key: value for key, value in image.items()}
