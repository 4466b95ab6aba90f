"""The local stand-in of SageMaker's ground-truth merger: captures and labels of the same event in one line each.

In: `dataset_source`, `ground_truth_source` and `output_path` of the environment, below CONTAINER_ROOT. Out: the captures
that have a label, in the folders that they lay in. Source: the jobs and files of public accounts (CONTRACTS §5).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MESSAGE = "opt/ml/output/message"


def read_lines(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every record below a folder, with its file; a line that is none is passed over."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield path, record


def find_event(record: dict[str, Any]) -> str:
    """By what a capture and its label know each other: the caller's id, else SageMaker's."""
    metadata = record.get("eventMetadata") or {}
    return str(metadata.get("inferenceId") or metadata.get("eventId") or "")


def merge(captures: Path, truth: Path, output: Path) -> int:
    """Write the captures that have a label; the answer is their number."""
    labels = {find_event(record): record.get("groundTruthData") for _, record in read_lines(truth)}
    merged = 0
    for path, record in read_lines(captures):
        label = labels.get(find_event(record))
        if label is None:
            continue
        target = output / path.relative_to(captures)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"groundTruthData": label, **record}) + "\n")
        merged += 1
    return merged


def main(root: Path, environment: dict[str, str]) -> int:
    """Merge, leave a message, and return the exit code."""
    places = (environment[key] for key in ("dataset_source", "ground_truth_source", "output_path"))
    count = merge(*(root / place.lstrip("/") for place in places))
    said = f"Completed: {count} records were merged." if count else "No record has a label of its own."
    message = root / MESSAGE
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(said)
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["CONTAINER_ROOT"]), dict(os.environ)))  # noqa: TID251  a container's own edge
