"""The saliency job: explains recorded predictions, inside a SageMaker processing container.

In (below `CONTAINER_ROOT`, `/` where that is not set):

- `opt/ml/processing/input/tensors/**`: what `endpoint_code/debugger_hook.py` recorded, one directory a worker
- `opt/ml/processing/input/classes/*.csv`: optional class names, columns `ClassId,SignName`
- `opt/ml/config/processingjobconfig.json`: the platform's; the process's environment goes before its `Environment`
- environment `MAX_IMAGES` (40), `SUSPECT_KIND` (the finding's kind) and `SUSPECT_CLASS` (its class, by number or name):
  images of that class come first, at most a quarter are others; kind `confidence` takes the least confident answers
- environment `SUSPECT_SHARE` (none): for kind `confidence`, from which share of the recorded answers, the least confident,
  those images are drawn
- environment `REGION` (`left,top,right,bottom`, 0 to 1): where in a picture the model is expected to look

And captured requests that are run through the model here (`replay.py` beside this file, in an image that has torch):
clean ones to compare with, and in place of tensors, for `mode: replay`, the suspicious ones too:

- `opt/ml/processing/input/model/*.tar.gz`: the model's archive, its hook in its `code/`
- `opt/ml/processing/input/requests/requests.jsonl`: captured requests, each with `id`, `role`, `content_type`, `body`

Without tensors a model that cannot be run fails the job; beside them it is noted, and what was recorded is explained.

Out, below the first output's `LocalPath`: `heatmaps/`, `inputs/`, `overlays/` with a PNG an image, and
`explanations.json`, written last, with the job's name and every picture's SHA-256. Exit code 0, or 1; `opt/ml/output/message` says what was done or what the cause is.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagewatch.container import (
    CLASSES,
    CONFIG,
    find_output,
    merge_environment,
    read_class_names,
    read_platform_file,
    run_to_message,
    write_whole,
)
from sagewatch.errors import ConfigurationError, RejectedInputError, SagewatchError
from sagewatch.explain.region import Region, read_region
from sagewatch.explain.report import KnownRequest, Question, explain_steps
from sagewatch.explain.selection import Chosen, Suspicion, choose_steps
from sagewatch.explain.trial import TrialReader, find_steps

if TYPE_CHECKING:
    from collections.abc import Mapping


MODEL: Final = "opt/ml/processing/input/model"
REQUESTS: Final = "opt/ml/processing/input/requests/requests.jsonl"
REPLAYED: Final = "opt/ml/processing/replayed"
TENSORS: Final = "opt/ml/processing/input/tensors"
DEFAULT_MAX_IMAGES: Final = 40


@dataclass(frozen=True)
class Job:
    """What the platform asks for."""

    tensors: Path
    classes: Path
    output: Path
    max_images: int
    suspect_class: str
    suspect_kind: str
    suspect_share: float | None
    region: Region
    model: Path
    requests: Path
    replayed: Path
    name: str = ""


class NothingToExplainError(SagewatchError):
    """The job has no image to show: there are no tensors, or none that can be explained."""


def read_job(root: Path, environment: Mapping[str, str]) -> Job:
    """Read the job from the processing contract's file and the environment.

    Raises
    ------
    ConfigurationError
        When the file is no JSON object, or a number is none.
    """
    config = read_platform_file(root / CONFIG)
    given = merge_environment(config, environment)
    max_images = _number(given, "MAX_IMAGES", DEFAULT_MAX_IMAGES)
    if max_images < 1:
        raise ConfigurationError("must be at least 1", where="environment", key="MAX_IMAGES")
    return Job(
        root / TENSORS,
        root / CLASSES,
        root / find_output(config).lstrip("/"),
        max_images,
        str(given.get("SUSPECT_CLASS") or "").strip(),
        str(given.get("SUSPECT_KIND") or ""),
        _read_share(given),
        read_region(str(given.get("REGION") or ""), "environment"),
        root / MODEL,
        root / REQUESTS,
        root / REPLAYED,
        str(config.get("ProcessingJobName") or ""),
    )


def run_job(job: Job) -> str:
    """Do the job; the answer is its message.

    Raises
    ------
    NothingToExplainError
        When not one image can be explained.
    OSError
        When the output cannot be written.
    """
    names = _number_names(job.classes)
    recorded = find_steps(job.tensors)
    requests, notes = _replay(job, needed=not recorded)
    replayed = find_steps(job.replayed / "tensors")
    if not recorded and not replayed:
        raise NothingToExplainError(f"no tensors found under {job.tensors}")
    reader = TrialReader([*recorded, *replayed])
    suspicion = replace(read_suspicion(job.suspect_class, job.suspect_kind, names), share=job.suspect_share)
    # Requests that were run here were chosen before: all of them are shown, and the recorded ones take the rest.
    room = max(job.max_images - len(replayed), 1)
    others = room // 8 if replayed else None
    chosen, skipped = choose_steps(recorded, reader, room, suspicion, others)
    chosen += [Chosen(file, live=False) for file in replayed]
    found = explain_steps(
        chosen, reader, job.output, Question(suspicion.class_id, names, requests, job.region)
    )
    report = replace(found, skipped=[*skipped, *found.skipped], notes=notes)
    # Whose report it is, and of which pictures: others may write into the bucket.
    files = {
        path.relative_to(job.output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(job.output.rglob("*.png"))
    }
    whose = {"job": job.name} if job.name else {}
    content = json.dumps({**report.as_json(), **whose, "files": files}, indent=1, allow_nan=False)
    write_whole(job.output / "explanations.json", content.encode())
    if not report.images:
        first = report.skipped[0]
        raise NothingToExplainError(f"none of {len(chosen)} recorded steps can be explained: {first.reason}")
    incomplete = sum(not image.completeness_ok for image in report.images)
    return f"Completed: {len(report.images)} images explained, {len(report.skipped)} skipped, {incomplete} incomplete."


def read_suspicion(subject: str, kind: str, names: Mapping[int, str]) -> Suspicion:
    """What the finding says of the inputs that made it; a class that nobody knows here says nothing.

    >>> read_suspicion("Stop", "class-concentration", {14: "Stop"})
    Suspicion(class_id=14, least_confident=False, share=None)
    """
    if kind == "confidence":
        return Suspicion(least_confident=True)
    if subject.isdecimal():
        return Suspicion(int(subject))
    return Suspicion(next((number for number, name in names.items() if name == subject), None))


def _replay(job: Job, *, needed: bool) -> tuple[dict[str, KnownRequest], tuple[str, ...]]:
    """Run the captured requests through the model, where there are any; what is known of them, and what went wrong."""
    if not job.requests.exists():
        return {}, ()
    try:
        # Beside this file, wherever that is.
        return importlib.import_module("replay").replay_requests(job.model, job.requests, job.replayed), ()
    except RejectedInputError as error:
        if needed:
            raise
        return {}, (f"Clean inputs could not be run through the model to compare with: {error}",)


def main(root: Path, environment: Mapping[str, str]) -> int:
    """Run the job, leave its message, and return the exit code."""
    return run_to_message(root, lambda: run_job(read_job(root, environment)))


def _number_names(folder: Path) -> dict[int, str]:
    """What the classes are called; only those with numbers can stand in recorded tensors."""
    return {int(label): name for label, name in read_class_names(folder).items() if label.isdecimal()}


def _number(given: Mapping[str, Any], key: str, default: int) -> int:
    text = given.get(key)
    if text is None or not str(text).strip():
        return default
    try:
        return int(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no number", where="environment", key=key) from error


def _read_share(given: Mapping[str, Any]) -> float | None:
    text = str(given.get("SUSPECT_SHARE") or "").strip()
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        reason = f"must be a share above 0, up to 1, not {text!r}"
        raise ConfigurationError(reason, where="environment", key="SUSPECT_SHARE")
    return share


if __name__ == "__main__":
    # The container's own edge: settings.py belongs to the Lambda functions.
    surroundings = dict(os.environ)  # noqa: TID251
    sys.exit(main(Path(surroundings.get("CONTAINER_ROOT") or "/"), surroundings))
