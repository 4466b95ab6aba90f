"""What the saliency job left, as the page shows it: its report and its pictures, and which request each input was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sagewatch.evidence.model import Explained, Looked

_NOBODY: Mapping[str, str] = {}
_NO_LINKS: Iterator[Mapping[str, str]] = iter(())
_TOLD = frozenset(
    {"worker", "step", "class", "probability", "completeness_relative_error", "outside_roi_share"}
)
"""What the page says of each input; a picture of which the job says less is not shown."""
_COMPARED = frozenset({"sentence", "verdict", "suspicious", "others", "others_are"})


def read_explained(
    report: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    links: Mapping[str, Sequence[Mapping[str, str]]],
    kept: Collection[str] = (),
) -> Iterable[Explained]:
    """Every explained input whose pictures are there; without them where they are ``kept`` and not shown.

    Parameters
    ----------
    pictures
        By path below the job's output.
    links
        By the digest of a request's body, the ``id`` and ``where`` in the data capture of as many as came with it.
    """
    left = {digest: iter(each) for digest, each in links.items()}
    for row in report.get("images", []):
        pair = (row["input"], row["overlay"])
        drawn = all(path in pictures for path in pair)
        if not row.keys() >= _TOLD or not (drawn or all(path in pictures or path in kept for path in pair)):
            continue
        link = next(left.get(row.get("request_digest", ""), _NO_LINKS), _NOBODY)
        yield Explained(
            worker=row["worker"],
            step=row["step"],
            label=str(row["class"]),
            probability=row["probability"],
            completeness_error=row["completeness_relative_error"],
            outside_share=row["outside_roi_share"],
            looks_past=row.get("looks_past_region", False),  # reports of an older job do not say
            input_png=pictures[row["input"]] if drawn else b"",
            overlay_png=pictures[row["overlay"]] if drawn else b"",
            role=row.get("role", ""),
            event_id=row.get("request_id") or link.get("id", ""),
            where=row.get("request_where") or link.get("where", ""),
        )


def read_looked(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Looked | None:
    """The comparison of mean maps with its three pictures; None where the job made none."""
    comparison, means = report.get("comparison") or {}, report.get("means", {})
    found = [pictures.get(means.get(name, "")) for name in ("suspicious", "others", "difference")]
    if None in found or not comparison.keys() >= _COMPARED:
        return None
    suspicious, others, difference = (each or b"" for each in found)
    return Looked(
        sentence=comparison["sentence"],
        verdict=comparison["verdict"],
        suspicious=comparison["suspicious"],
        others=comparison["others"],
        others_are=comparison["others_are"],
        suspicious_png=suspicious,
        others_png=others,
        difference_png=difference,
    )
