"""The features that moved, on the page: ranked, each with both distributions; a tabular model has no heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.evidence.markup import Markup, foreign, tag
from sagewatch.evidence.sections import build_section
from sagewatch.incident.amounts import clean_text, format_share

if TYPE_CHECKING:
    from sagewatch.evidence.model import Dossier
    from sagewatch.quality.bars import Bar
    from sagewatch.quality.moved import Moved

FEATURES_SHOWN = 12
_DRIFT = "drift"
_HEIGHT = 72


def build_features(dossier: Dossier) -> Markup | None:
    """Those that moved farthest first; those of which the report complains are marked, however little they moved."""
    if not dossier.moved:
        return None
    broken: dict[str, list[str]] = {}
    for one in dossier.violations:
        broken.setdefault(one.subject, []).append(one.check)
    shown, more = dossier.moved[:FEATURES_SHOWN], dossier.moved[FEATURES_SHOWN:]
    drifted = sum(any(_DRIFT in check for check in checks) for checks in broken.values())
    note = (
        f"{len(dossier.moved)} features beside their baseline, the farthest first. Bars: now; outline: baseline. "
        "The distance is between 0 (alike) and 1."
    )
    said = f"The report finds drift in {drifted} of {len(dossier.moved)} features." if drifted else None
    folded = None
    if more:
        head = tag(
            "tr", (tag("th", name, scope="col") for name in ("Feature", "Distance", "Mean", "Baseline's"))
        )
        table = tag("table", tag("thead", head), tag("tbody", map(_build_row, more)), class_="plain")
        folded = tag("details", tag("summary", f"{len(more):,} more, which moved less"), table)
    return build_section(
        "features", "Features that moved", note,
        tag("p", said, class_="verdict bad") if said else None,
        tag("ul", (_build_feature(one, broken.get(one.name, [])) for one in shown), class_="features"),
        folded,
    )  # fmt: skip


def _build_feature(one: Moved, checks: list[str]) -> Markup:
    facts = [f"distance {one.distance:.2f}"]
    if one.mean is not None and one.usual_mean is not None:
        facts.append(f"mean {one.mean:.4g}, usually {one.usual_mean:.4g}")
    if one.missing:
        facts.append(f"{format_share(one.missing)} missing, usually {format_share(one.usual_missing or 0)}")
    failed = ", ".join(clean_text(check, 40).removesuffix("_check").replace("_", " ") for check in checks)
    return tag(
        "li",
        tag(
            "figure",
            _draw(one),
            tag("figcaption", tag("strong", foreign(one.name, 60)),
                tag("div", f"Fails: {failed}", class_="doubt") if failed else None,
                tag("div", " · ".join(facts), class_="small")),
        ),
    )  # fmt: skip


def _draw(one: Moved) -> Markup:
    """Two distributions on the same bars, each bar's place and width in percent."""
    tallest = max((max(bar.current or 0.0, bar.baseline or 0.0) for bar in one.bars), default=0.0) or 1.0
    width = 100 / len(one.bars)
    shapes = []
    for number, bar in enumerate(one.bars):
        for share, look, inset in ((bar.current, "now", 0.1), (bar.baseline, "before", 0.0)):
            if share:
                height = _HEIGHT * share / tallest
                shapes.append(
                    tag("rect", x=f"{(number + inset) * width:.2f}%", y=f"{_HEIGHT - height:.1f}",
                        width=f"{width * (1 - 2 * inset):.2f}%", height=f"{height:.1f}", class_=look)
                )  # fmt: skip
    ends = [one.bars[0], one.bars[-1]] if len(one.bars) > 1 else list(one.bars)
    labels = [
        tag("text", clean_text(bar.label, 18), x=place, y=_HEIGHT + 15, text_anchor=anchor)
        for bar, place, anchor in zip(ends, ("0%", "100%"), ("start", "end"), strict=False)
    ]
    return tag(
        "svg", shapes, labels, width="100%", height=_HEIGHT + 20, role="img",
        aria_label=f"Distribution of {clean_text(one.name, 60)}: {_tell(one.bars)}",
    )  # fmt: skip


def _tell(bars: tuple[Bar, ...]) -> str:
    """The bar that changed most, for whoever does not see the drawing."""
    most = max(bars, key=lambda bar: abs((bar.current or 0) - (bar.baseline or 0)))
    return f"around {clean_text(most.label, 18)} {format_share(most.current or 0)}, usually {format_share(most.baseline or 0)}"


def _build_row(one: Moved) -> Markup:
    means = ("" if mean is None else f"{mean:.4g}" for mean in (one.mean, one.usual_mean))
    return tag(
        "tr", tag("th", foreign(one.name, 80), scope="row"), tag("td", f"{one.distance:.2f}"),
        (tag("td", mean) for mean in means),
    )  # fmt: skip
