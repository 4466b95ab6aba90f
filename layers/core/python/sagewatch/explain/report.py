"""Explains chosen steps into a directory: the pictures, and the facts that `explanations.json` lists."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sagewatch.errors import RejectedInputError
from sagewatch.explain import heatmap
from sagewatch.explain.fullgrad import Explanation, explain
from sagewatch.explain.selection import Skipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sagewatch.explain.trial import StepFile, TrialReader

SCHEMA: Final = 1


@dataclass(frozen=True)
class ExplainedImage:
    """One image of the report; paths are relative to the output, `completeness_relative_error` is None when not finite."""

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


@dataclass(frozen=True)
class ExplanationReport:
    """What a saliency job found, in the order of its pictures."""

    images: list[ExplainedImage]
    skipped: list[Skipped]

    def as_json(self) -> dict[str, Any]:
        """The content of `explanations.json`; the largest error is None without an image, or when one is not finite."""
        errors = [image.completeness_relative_error for image in self.images]
        finite = [error for error in errors if error is not None]
        return {
            "schema": SCHEMA,
            "images": [_renamed(asdict(image)) for image in self.images],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "completeness_max_relative_error": max(finite) if finite and len(finite) == len(errors) else None,
        }


def explain_steps(
    steps: Sequence[StepFile], reader: TrialReader, output: Path, class_names: Mapping[int, str]
) -> ExplanationReport:
    """Explain each step and write its three pictures; a step that cannot be explained is skipped with the reason.

    Raises
    ------
    OSError
        When a picture cannot be written.
    """
    images: list[ExplainedImage] = []
    skipped: list[Skipped] = []
    for room in ("heatmaps", "inputs", "overlays"):
        (output / room).mkdir(parents=True, exist_ok=True)
    for file in steps:
        try:
            explanation = explain(reader.read(file).tensors, file.name)
        except RejectedInputError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        name = class_names.get(explanation.class_id, f"class {explanation.class_id}")
        images.append(_write_pictures(file, explanation, name, len(images) + 1, output))
    return ExplanationReport(images, skipped)


def _write_pictures(
    file: StepFile, explanation: Explanation, class_name: str, number: int, output: Path
) -> ExplainedImage:
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
    )  # fmt: skip


def _caption(file: StepFile, explanation: Explanation, class_name: str, outside: float) -> tuple[str, ...]:
    error = f"completeness error {explanation.completeness_relative_error:.1e}"
    verdict = error if explanation.complete else f"INCOMPLETE, do not trust: {error}"
    return (
        f"{class_name} (class {explanation.class_id}), probability {explanation.probability:.1%}",
        f"{verdict}; {outside:.0%} of the relevance lies outside the middle",
        file.name,
    )


def _renamed(image: dict[str, Any]) -> dict[str, Any]:
    """`class` is a word of Python, so the field has another name."""
    return {"class" if key == "class_id" else key: value for key, value in image.items()}
