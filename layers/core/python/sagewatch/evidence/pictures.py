"""Inputs and heat maps on the page: thumbnails, and pairs with a slider between input and heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.evidence.markup import Child, Markup, foreign, join, picture_url, tag
from sagewatch.evidence.sections import build_caption, build_section
from sagewatch.incident.amounts import clean_text, format_share
from sagewatch.incident.describe import name_class
from sagewatch.incident.doing import RUNNING, tell_progress

if TYPE_CHECKING:
    from sagewatch.evidence.model import Dossier, Explained, SampleInput

_OBJECTS_SHOWN = 5
_ID_SHOWN = 8
_TITLES = {
    "suspicious": ("In the finding", "recorded or captured since it began"),
    "clean": ("Clean", "captured before the finding, run through the same model in the saliency job"),
    "other": ("Beside it", "recorded at the same time, not what the finding is about"),
    "": ("Recorded", "the finding points at no single input"),
}
_MEDIA_TYPES = frozenset({"image/png", "image/jpeg"})


def build_samples(dossier: Dossier) -> Markup | None:
    """Inputs that helped to make the finding, beside clean ones where there are any."""
    if not dossier.samples:
        return None
    groups: list[Child] = [*_build_sample_group(dossier.samples, dossier)]
    if dossier.clean_samples:
        groups = [
            tag("h3", "In the finding"), *groups,
            tag("h3", "In clean traffic"), _build_sample_group(dossier.clean_samples, dossier),
        ]  # fmt: skip
    return build_section("inputs", "Inputs", "What was sent, with the class that came back.", groups)


def build_heat_maps(dossier: Dossier) -> Markup | None:
    """Where the model looked, input by input; before there is anything, what is being waited for."""
    progress = dossier.incident.diagnosis
    failures = None
    if dossier.explain_failures:
        listed = (tag("li", foreign(reason, 300)) for reason in dossier.explain_failures)
        summary = tag("summary", f"{len(dossier.explain_failures)} inputs could not be explained")
        failures = tag("details", summary, tag("ul", listed))
    notes = [tag("p", foreign(note, 600), class_="small from") for note in dossier.explain_notes]
    if not dossier.explained:
        if progress is None:
            return None
        running = progress.stage in RUNNING
        title = "Diagnosis is running" if running else "No heat maps"
        waiting = tag(
            "div", tag("h3", title), tag("p", tell_progress(progress)),
            class_="waiting running" if running else "waiting",
        )  # fmt: skip
        return build_section("heatmaps", "Heat maps", None, waiting, notes, failures)
    doubtful = sum(not one.trusted for one in dossier.explained)
    note = (
        "FullGrad: red is what spoke for the class. Drag across a picture, or focus it and use the arrow keys: "
        "left of the line is the input, right of it the heat map. Outside is the share of relevance beyond the "
        "region of interest. The id is that of a captured request of these very bytes."
    )
    return build_section(
        "heatmaps", "Heat maps", note,
        _build_sum(dossier, doubtful),
        tag("label", tag("span", "All pictures"), _build_range("all", "Input or heat map, all pictures"),
            class_="all-pictures"),
        _build_groups(dossier),
        _tell_left_out(dossier),
        notes,
        _build_requests(dossier),
        failures,
    )  # fmt: skip


def build_looked(dossier: Dossier) -> Markup | None:
    """Where the model looks on suspicious inputs against others, in the mean, and what follows."""
    looked = dossier.looked
    if looked is None:
        return None
    shown = (
        (looked.suspicious_png, "In the finding", f"mean of {_count_pictures(looked.suspicious)}"),
        (
            looked.others_png,
            clean_text(looked.others_are.replace("input", "inputs", 1), 60),
            f"mean of {_count_pictures(looked.others)}",
        ),
        (looked.difference_png, "Difference", "red: more in the finding; blue: less"),
    )
    figures = (
        tag("li", tag("figure", tag("img", src=picture_url(png, "image/png"), alt=f"Mean heat map: {name}"),
            tag("figcaption", tag("strong", name[:1].upper() + name[1:]),
                tag("div", told, class_="small"))))
        for png, name, told in shown
    )  # fmt: skip
    note = (
        "Mean heat maps, each over the mean of its inputs; a picture that came several times counts once. The rectangle is the region of interest "
        "(diagnosis.region in monitors.yml). What chance would bring forth is measured by shuffling the same inputs."
    )
    found = looked.verdict in {"past", "narrower", "elsewhere"}
    return build_section(
        "looks", "Where it looks", note,
        tag("p", foreign(looked.sentence, 900), class_="verdict bad" if found else "verdict"),
        tag("ul", figures, class_="means"),
    )  # fmt: skip


def _count_pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} different pictures"


def _build_groups(dossier: Dossier) -> list[Child]:
    """The pairs by what they are in the incident; a heading only where there is more than one kind."""
    numbered = [pair for pair in enumerate(dossier.explained, 1) if pair[1].input_png]
    groups = {
        role: [pair for pair in numbered if (pair[1].role if pair[1].role in _TITLES else "") == role]
        for role in _TITLES
    }
    found = {role: group for role, group in groups.items() if group}
    built: list[Child] = []
    for role, group in found.items():
        if len(found) > 1:
            title, told = _TITLES[role]
            built.append(tag("h3", f"{title} ", tag("small", f"{len(group)}, {told}")))
        built.append(tag("ul", (_build_pair(one, number, dossier) for number, one in group), class_="pairs"))
    return built


def _tell_left_out(dossier: Dossier) -> Markup | None:
    left_out = sum(not one.input_png for one in dossier.explained)
    if not left_out:
        return None
    shown = len(dossier.explained) - left_out
    return tag(
        "p",
        f"{shown} of {len(dossier.explained)} inputs are shown: a page holds so much. The other {left_out} lie in "
        "explain/ beside this page, as explanations.json lists them.",
        class_="small from",
    )


def _build_sum(dossier: Dossier, doubtful: int) -> Markup:
    errors = [one.completeness_error for one in dossier.explained if one.completeness_error is not None]
    worst = f"{max(errors):.1e}" if errors else "unknown"
    count = len(dossier.explained)
    told = f"{count} inputs explained. " if count != 1 else "1 input explained. "
    if doubtful:
        told += "Heat maps that do not account for the whole prediction are marked: "
        told += f"{doubtful} of {count}."
    else:
        told += f"Every heat map accounts for the whole prediction; the largest relative error is {worst}."
    past = sum(one.looks_past for one in dossier.explained)
    if past:
        told += f" {past} of {count} look past the region of interest: more of the relevance lies outside it than by chance."
    return tag("p", told, class_="verdict bad" if doubtful or past else "verdict good")


def _build_pair(one: Explained, number: int, dossier: Dossier) -> Markup:
    named = name_class(one.label, dossier.class_names)
    shown = clean_text(named, 100)
    facts = [
        f"error {one.completeness_error:.0e}" if one.completeness_error is not None else "error unknown",
        f"{format_share(one.outside_share)} outside" if one.outside_share is not None else "",
        f"id {clean_text(one.event_id[:_ID_SHOWN], _ID_SHOWN)}" if one.event_id else f"step {one.step}",
    ]
    return tag(
        "li",
        tag(
            "figure",
            tag(
                "div",
                tag("img", src=picture_url(one.input_png, "image/png"), alt=f"Input {number}, predicted {shown}"),
                tag("img", src=picture_url(one.overlay_png, "image/png"), alt=f"Heat map of input {number}", class_="over"),
                _build_range("one", f"Input {number}: input or heat map"),
                class_="compare",
            ),
            tag(
                "figcaption",
                tag("div", build_caption(one.label, one.probability, dossier)),
                None if one.trusted else tag("div", "Incomplete: do not trust", class_="doubt"),
                tag("div", "Looks past the region", class_="doubt") if one.looks_past else None,
                tag("div", (tag("span", fact) for fact in facts if fact), class_="small bits",
                    title=clean_text(f"worker {one.worker}", 80)),
            ),
        ),
    )  # fmt: skip


def _build_requests(dossier: Dossier) -> Markup:
    """Where each explained request lies in the data capture, and its tensors."""
    head = tag(
        "tr", (tag("th", name, scope="col") for name in ("Input", "Request", "Captured in", "Tensors"))
    )
    rows = (
        tag("tr", tag("th", str(number), scope="row"),
            tag("td", foreign(one.event_id, 80) if one.event_id else tag("span", "not captured", class_="absent")),
            tag("td", foreign(one.where, 300)), tag("td", foreign(f"{one.worker}, step {one.step}", 120)))
        for number, one in enumerate(dossier.explained, 1)
    )  # fmt: skip
    linked = sum(bool(one.event_id) for one in dossier.explained)
    summary = tag(
        "summary", f"Their requests: {linked} of {len(dossier.explained)} found in the data capture"
    )
    return tag("details", summary, tag("table", tag("thead", head), tag("tbody", rows), class_="plain"))


def _build_range(look: str, label: str) -> Markup:
    return tag(
        "input", type="range", min=0, max=100, step=2, value=50, class_=f"cut {look}", aria_label=label,
        autocomplete="off",
    )  # fmt: skip


def _build_sample_group(samples: tuple[SampleInput, ...], dossier: Dossier) -> list[Markup]:
    objects = dict.fromkeys(_split(one.where)[0] for one in samples)
    sources = (foreign(where, 300) for where in list(objects)[:_OBJECTS_SHOWN])
    return [
        tag("ul", (_build_sample(one, dossier) for one in samples), class_="samples"),
        tag("p", "Captured in ", *(join((source, ". ")) for source in sources), class_="small from"),
    ]


def _build_sample(one: SampleInput, dossier: Dossier) -> Markup:
    shown: Markup
    if one.picture is not None and one.media_type in _MEDIA_TYPES:
        alt = f"Input that was called {clean_text(name_class(one.label, dossier.class_names), 100)}"
        url = picture_url(one.picture, one.media_type)
        shown = tag("img", src=url, alt=alt)
    else:
        shown = tag("pre", clean_text(one.text, 400) or "not shown")
    caption = tag(
        "figcaption", tag("div", build_caption(one.label, one.confidence, dossier)),
        tag("div", foreign(_split(one.where)[1], 40), class_="small"),
    )  # fmt: skip
    return tag("li", tag("figure", shown, caption))


def _split(where: str) -> tuple[str, str]:
    """The capture object, and the line in it."""
    place, line, number = where.rpartition(" line ")
    return (place, f"{line.strip()} {number}") if place else (where, "")
