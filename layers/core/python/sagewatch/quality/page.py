"""The second notebook's pictures as HTML: one page without anything from outside, or a part of a notebook."""

from __future__ import annotations

from html import escape
from typing import Final, NamedTuple

from msgspec import UNSET

from sagewatch.quality.bars import Bar, build_bars, measure_move
from sagewatch.quality.statistics import STRING, FeatureStatistics, Statistics
from sagewatch.quality.violation_table import ViolationRow

# The notebook's colours.
TINT: Final = "#fff7dc"
ORANGE: Final = "#ffa500"
_COLLECTED, _BASELINE = "#2b6cb0", "#dd6b20"
_COLUMNS: Final = ("inferred_type", "completeness", "baseline_drift", "categorical_values")
# A label of eight points stands on its side: each of its letters takes at most five of the picture's units.
_LABEL_LENGTH: Final = 12
_LETTER: Final = 5
_WIDTH, _HEIGHT = 230, 90
# So many bars of numbers are all named; of more, three.
_NUMBERS_NAMED: Final = 10
# So many features' statistics are shown unasked.
_FEW: Final = 12

_STYLE = f"""
.sw {{ font: 14px/1.45 system-ui, sans-serif; color: #1a202c; background: #fff; }}
.sw table {{ border-collapse: collapse; margin: .6em 0 1.4em; font-variant-numeric: tabular-nums; }}
.sw th, .sw td {{ border: 1px solid #e2e8f0; padding: .25em .6em; text-align: left; vertical-align: top; }}
.sw th {{ background: #f7fafc; }}
.sw .wide {{ overflow-x: auto; }}
.sw td.name {{ min-width: 8em; max-width: min(20em, 40vw); overflow-wrap: anywhere; background: #fff; }}
.sw td.name, .sw th:first-child {{ position: sticky; left: -1px; z-index: 1; }}
.sw td.n {{ text-align: right; white-space: nowrap; }}
.sw tr.hit td {{ background: {TINT}; }}
.sw tr.hit td.failed {{ background: {ORANGE}; }}
.sw .grid {{ display: grid; grid-template-columns: repeat(auto-fill, minmax({_WIDTH}px, 1fr)); gap: 1em; max-width: 1280px; }}
.sw figure {{ margin: 0; }}
.sw small {{ font-weight: 400; color: #4a5568; }}
.sw summary {{ cursor: pointer; margin: 1em 0 .4em; }}
.sw figcaption {{ font-weight: 600; overflow-wrap: anywhere; }}
.sw .key span {{ display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em; vertical-align: -.1em; }}
"""


def render_page(title: str, *parts: str) -> str:
    """A whole page of parts."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title></head><body>{render_part(f'<h1>{escape(title)}</h1>', *parts)}</body></html>\n"
    )


def render_part(*parts: str) -> str:
    """Parts with their style, for a page or a notebook's cell."""
    return f'<div class="sw"><style>{_STYLE}</style>{"".join(parts)}</div>'


def render_violations(rows: list[ViolationRow]) -> str:
    """The table of violations, features with any first: their rows are tinted, the cell that failed is orange."""
    broken = [row for row in rows if row.findings]
    count = sum(len(row.findings) for row in broken)
    said = f"<p>{count} violations of {len(broken)} subjects, {len(rows)} in all.</p>"
    heads = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("feature", *_COLUMNS))
    lines = [f"<tr>{heads}<th>check</th><th>expected</th><th>seen</th></tr>"]
    lines.extend(_render_row(row) for row in [*broken, *(row for row in rows if not row.findings)])
    return f'{said}<div class="wide"><table>{"".join(lines)}</table></div>'


def render_distributions(current: Statistics, baseline: Statistics | None = None) -> str:
    """Every feature's distribution beside its baseline's, what moved most first, and the statistics of both.

    Numbers first, then strings, as in the notebook.
    """
    known = {feature.name: feature for feature in baseline.features} if baseline is not None else {}
    pairs: list[tuple[FeatureStatistics | None, FeatureStatistics | None]] = [
        (feature, known.pop(feature.name, None)) for feature in current.features
    ]
    pairs += [(None, feature) for feature in known.values()]
    parts = [_render_key(baseline is not None)]
    for heading, strings in (("Numerical features", False), ("String features", True)):
        chosen = [pair for pair in pairs if (_leading(*pair).inferred_type == STRING) is strings]
        if chosen:
            drawn = [_draw_figure(*pair) for pair in chosen]
            # Sorting is stable: where nothing can be compared, the features keep their order.
            drawn.sort(key=lambda figure: -(figure.move or 0.0))
            figures = "".join(figure.html for figure in drawn)
            table = _render_statistics(chosen, strings=strings)
            is_open = " open" if len(chosen) <= _FEW else ""
            parts.append(
                f'<h2>{heading}</h2><div class="grid">{figures}</div>'
                f"<details{is_open}><summary>Statistics of {len(chosen)} features</summary>{table}</details>"
            )
    return "".join(parts)


def _render_row(row: ViolationRow) -> str:
    """A feature's cells, and beside them a line a violation: what was wanted stands by what was seen."""
    span = f' rowspan="{len(row.findings)}"' if len(row.findings) > 1 else ""
    cells = [f'<td class="name"{span}>{escape(row.feature)}</td>']
    for name in _COLUMNS:
        failed = " failed" if name in row.failed else ""
        cells.append(f'<td class="n{failed}"{span}>{escape(getattr(row, name))}</td>')
    start = '<tr class="hit">' if row.findings else "<tr>"
    findings = [
        f"<td>{escape(each.check)}</td><td>{escape(each.expected)}</td>"
        f'<td class="name">{escape(each.seen)}</td>'
        for each in row.findings
    ] or ["<td></td>" * 3]
    others = "".join(f"{start}{finding}</tr>" for finding in findings[1:])
    return f"{start}{''.join(cells)}{findings[0]}</tr>{others}"


def _leading(current: FeatureStatistics | None, baseline: FeatureStatistics | None) -> FeatureStatistics:
    leading = current if current is not None else baseline
    if leading is None:
        raise ValueError("a pair of features has at least one side")
    return leading


def _render_key(with_baseline: bool) -> str:
    keys = [("collected", _COLLECTED)] + ([("baseline", _BASELINE)] if with_baseline else [])
    return '<p class="key">' + "".join(f'<span style="background:{c}"></span>{n}' for n, c in keys) + "</p>"


def _render_statistics(
    pairs: list[tuple[FeatureStatistics | None, FeatureStatistics | None]], *, strings: bool
) -> str:
    names = ("distinct",) if strings else ("mean", "std dev", "min", "max", "distinct")
    heads = "".join(f"<th>{name}</th>" for name in ("feature", "side", "type", "present", "missing", *names))
    lines = [f"<tr>{heads}</tr>"]
    for pair in pairs:
        for side, feature in zip(("collected", "baseline"), pair, strict=True):
            if feature is not None:
                cells = "".join(
                    f'<td class="n">{value}</td>' for value in summarise(feature, strings=strings)
                )
                lines.append(
                    f'<tr><td class="name">{escape(feature.name)}</td><td>{side}</td>'
                    f"<td>{escape(feature.inferred_type)}</td>{cells}</tr>"
                )
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def summarise(feature: FeatureStatistics, *, strings: bool) -> list[str]:
    """Present, missing and the numbers of a feature, in words; a dash where there is none."""
    common = feature.common
    counts = ["–", "–"] if common is None else [str(common.num_present), str(common.num_missing)]
    if strings:
        known = feature.string_statistics
        return [
            *counts,
            "–" if known is UNSET or known.distinct_count is UNSET else f"{known.distinct_count:.0f}",
        ]
    numbers = feature.numerical_statistics
    if numbers is UNSET:
        return [*counts, *["–"] * 5]
    distinct = numbers.approximate_num_distinct_values
    values = (
        numbers.mean,
        numbers.std_dev,
        numbers.min,
        numbers.max,
        None if distinct is UNSET else distinct,
    )
    return [*counts, *("–" if value is None else f"{value:.6g}" for value in values)]


class _Figure(NamedTuple):
    move: float | None
    html: str


def _draw_figure(current: FeatureStatistics | None, baseline: FeatureStatistics | None) -> _Figure:
    leading = _leading(current, baseline)
    name = escape(leading.name)
    bars = build_bars(current, baseline)
    if not bars:
        return _Figure(None, f"<figure><figcaption>{name}</figcaption><p>no distribution</p></figure>")
    move = measure_move(bars, ordered=leading.inferred_type != STRING)
    said = "" if move is None else f' <small title="largest difference of shares">{move:.0%} moved</small>'
    return _Figure(move, f"<figure><figcaption>{name}{said}</figcaption>{_draw(name, bars)}</figure>")


def _draw(name: str, bars: list[Bar]) -> str:
    tallest = max(max(bar.current or 0.0, bar.baseline or 0.0) for bar in bars) or 1.0
    step = _WIDTH / len(bars)
    shapes = []
    for at, bar in enumerate(bars):
        for share, colour, opacity in ((bar.current, _COLLECTED, 1.0), (bar.baseline, _BASELINE, 0.7)):
            if share:
                height = _HEIGHT * share / tallest
                shapes.append(
                    f'<rect x="{at * step + 0.5:.1f}" y="{_HEIGHT - height:.1f}" width="{max(step - 1, 0.5):.1f}" '
                    f'height="{height:.1f}" fill="{colour}" fill-opacity="{opacity}"/>'
                )
    shapes.extend(_draw_labels(bars, step))
    labels = 8 + _LETTER * max(len(_shorten(bar.label)) for bar in bars)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + labels}" width="100%" role="img" '
        f'aria-label="distribution of {name}">{"".join(shapes)}</svg>'
    )


def _draw_labels(bars: list[Bar], step: float) -> list[str]:
    """Every label of a few bars; of many, the first, the middle and the last one."""
    shown = (
        range(len(bars))
        if len(bars) <= (_NUMBERS_NAMED if _is_number(bars) else 2 * _LABEL_LENGTH)
        else (0, len(bars) // 2, len(bars) - 1)
    )
    labels = []
    for at in shown:
        x = at * step + step / 2
        labels.append(
            f'<text x="{x:.1f}" y="{_HEIGHT + 6}" font-size="8" text-anchor="end" '
            f'transform="rotate(-90 {x:.1f} {_HEIGHT + 6})" dy="3">{escape(_shorten(bars[at].label))}</text>'
        )
    return labels


def _shorten(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"


def _is_number(bars: list[Bar]) -> bool:
    try:
        return all(float(bar.label) == float(bar.label) for bar in bars)
    except ValueError:
        return False
