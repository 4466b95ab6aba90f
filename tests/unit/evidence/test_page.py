from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest

from sagewatch.evidence.index_page import build_index
from sagewatch.evidence.model import (
    COMPLETENESS_LIMIT,
    BrokenConstraint,
    Dossier,
    EndpointConfigs,
    IndexRow,
    PageLink,
    SampleInput,
    TracePoint,
)
from sagewatch.evidence.page import build_page
from sagewatch.finding import Sample
from sagewatch.incident.describe import KINDS
from sagewatch.incident.model import Entry, Progress
from sagewatch.quality.bars import Bar
from sagewatch.quality.moved import Moved
from sagewatch.replay.page import build_backtest_page
from tests.unit.alert.story import HOSTILE
from tests.unit.evidence.runs import build_hostile_runs
from tests.unit.evidence.story import (
    ENTRIES,
    HOOKED,
    ORIGINAL,
    TOLD,
    build_dossier,
    build_explained,
    build_looked,
    build_running_dossier,
)
from tests.unit.golden.golden import check_golden
from tests.unit.incident.story import at, build_incident

VOID = {"meta", "img", "input", "br", "hr", "link"}
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "p", "span",
    "h1", "h2", "h3", "ol", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "time",
    "strong", "small", "a", "bdi", "details", "summary", "figure", "figcaption", "img", "input", "label", "pre",
    "ins", "mark", "i", "svg", "rect", "line", "text", "circle", "path", "script", "code",
}  # fmt: skip


class Outline(HTMLParser):
    """What a browser would make of the page: elements, attributes, text; fails on what is not closed."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page.decode())
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text.append(data)

    @property
    def shown(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))

    def find(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]


def build_hostile(text: str) -> Dossier:
    incident = build_dossier().incident
    finding = msgspec.structs.replace(
        incident.latest, subject=text, counts={text: 90, text + "2": 30}, source=text, kind=text,
        expected_shares={text: 0.1}, samples=(Sample(text, text, 1),), endpoint=text, variant=text,
        detector=msgspec.structs.replace(incident.latest.detector, name=text, version=text, config_hash=text),
    )  # fmt: skip
    return build_dossier(
        incident=msgspec.structs.replace(
            incident, findings=(finding,), endpoint=text, variant=text, kind=text, subject=text,
            acknowledged_by=text, resolved_by=text, resolution=text, diagnosis=Progress(text, text, at(1)), incident_id=text,
        ),
        entries=(Entry(at(1), text, text, text, {text: text}), Entry(at(2), "diagnosis_" + text, text, text)),
        class_names={text: text},
        samples=(SampleInput(label=text, where=text, text=text), SampleInput(label=text, where=text, picture=b"x", media_type=text)),
        explained=(build_explained(1, label=text, worker=text, role=text, event_id=text, where=text),),
        looked=build_looked(sentence=text, verdict=text, others_are=text),
        explain_failures=(text,),
        explain_notes=(text,),
        configs=EndpointConfigs(original={text: {text: text}}, hooked={text: [text]}, final={}),
        told=(msgspec.structs.replace(build_dossier().told[0], receiver=text, channel=text, kind=text, reason=text),),
        links=(PageLink(text, text, text), PageLink("x", "https://x/" + text, text), PageLink("y", "javascript:alert(1)")),
        runbook=text,
        clean_samples=(SampleInput(label=text, where=text, text=text),),
        violations=(BrokenConstraint(subject=text, check=text, description=text),),
        moved=(Moved(name=text, distance=0.5, bars=(Bar(text, 0.1, 0.6), Bar(text + "2", 0.9, 0.4))),),
        replay=text,
    )  # fmt: skip


def build_hostile_index(text: str) -> bytes:
    row = IndexRow(
        incident_id="20261121T123009Z-d70a35fb2065c43a", endpoint=text, variant=text, kind=text, subject=text,
        severity="critical", state="open", opened_at=at(1),
    )  # fmt: skip
    return build_index([row], at(2), replay=text)


@pytest.mark.parametrize(("name", "build"), [("done", build_dossier), ("running", build_running_dossier)])
def test_page_reads_as_it_was_looked_at(name, build):
    # Style and script are read as such; a line an element makes the difference readable.
    page = re.sub(r"(?s)(<(style|script)>).*?(</)", r"\1\3", build_page(build()).decode())
    page = re.sub(r"sha256-[\w+/=]+", "sha256-", page)
    page = re.sub(r"base64,[\w+/=]+", "base64,", page)
    check_golden(f"page/{name}.html", re.sub(r"><(?=[a-z])", ">\n<", page) + "\n")


def test_what_is_no_longer_judged_is_not_called_back_to_usual():
    incident = build_dossier().incident
    (finding,) = incident.findings
    ended = msgspec.structs.replace(
        incident, findings=(msgspec.structs.replace(finding, no_longer_judged=True),)
    )
    cleared = Entry(at(160), "finding_cleared", "no_longer_judged", "class-concentration")
    page = build_page(build_dossier(incident=ended, entries=(cleared,))).decode()
    assert "This is no longer judged: monitors.yml" in page
    assert "No longer judged: its detector was taken out or set anew" in page
    assert "usual share" not in page
    assert "fell back" not in page


@pytest.mark.parametrize("build", [build_dossier, build_running_dossier])
def test_page_is_well_formed_and_asks_nobody_for_anything(build):
    outline = Outline(build_page(build()))
    assert {tag for tag, _ in outline.seen} <= ELEMENTS
    for _, attributes in outline.seen:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert all(image["src"].startswith("data:image/") for image in outline.find("img"))
    assert all(image["alt"] for image in outline.find("img"))
    assert all(field["aria-label"] for field in outline.find("input"))
    ids = [attributes["id"] for _, attributes in outline.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in outline.seen if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_policy_allows_this_style_and_this_script_alone():
    page = build_page(build_dossier()).decode()
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for element in ("style", "script"):
        (source,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


BREAKOUT = {"breakout": "</title></style></script>'\"><img src=x onerror=alert(1)>{{7*7}}${7}"}


@pytest.mark.parametrize("text", (HOSTILE | BREAKOUT).values(), ids=(HOSTILE | BREAKOUT).keys())
@pytest.mark.parametrize(
    "build", [build_hostile_index, lambda text: build_backtest_page(*build_hostile_runs(text))]
)
def test_hostile_text_is_inert_in_the_index_and_in_a_backtest(build, text):
    page = build(text)
    outline = Outline(page)
    assert len(outline.find("script")) == 1
    assert outline.find("img") == []
    assert not any(attribute.startswith("on") for _, attributes in outline.seen for attribute in attributes)
    shown = re.sub(
        r' (value|data-\w+)="[^"]*"', "", page.decode()
    )  # what the filters compare, and nobody sees
    assert not {"\u202e", "\x00", "\x1b"} & set(shown)


@pytest.mark.parametrize("name", [*HOSTILE, "breakout"])
def test_hostile_text_in_every_field_is_inert(name):
    text = (HOSTILE | BREAKOUT)[name]
    page = build_page(build_hostile(text))
    outline = Outline(page)
    assert {tag for tag, _ in outline.seen} <= ELEMENTS
    assert len(outline.find("script")) == 1
    assert all(image["src"].startswith("data:image/") for image in outline.find("img"))
    for link in outline.find("a"):
        assert link["href"].startswith("https://")
    for _, attributes in outline.seen:
        assert not any(attribute.startswith("on") for attribute in attributes)
    assert len(page) < 200_000
    assert not {"\u202e", "\x00", "\x1b"} & set(page.decode())


def test_equal_dossiers_give_equal_pages():
    assert build_page(build_dossier()) == build_page(build_dossier())


def test_page_names_what_whoever_is_woken_asks_for():
    shown = Outline(build_page(build_dossier())).shown.replace("\u00a0", " ")
    for words in (
        "Resolved", "Class 14 (Stop) took 83 % of predictions; the baseline says 2.1 %.", "8.4 billion",
        "24 inputs explained", "The endpoint is on its original configuration.", "Runbook: class-concentration",
        "sagewatch-hooked-20261121T203450Z", "on-call", "2026-11-21 20:36:50 UTC", "40×",
    ):  # fmt: skip
        assert words in shown


def test_page_of_an_end_declared_by_hand_says_who_and_why_and_claims_no_recovery():
    dossier = build_dossier()
    incident = msgspec.structs.replace(
        dossier.incident, resolved_by="ada", resolution="camera turned",
        findings=(msgspec.structs.replace(dossier.incident.latest, cleared_at=None),),
    )  # fmt: skip
    page = build_page(msgspec.structs.replace(dossier, incident=incident)).decode().replace("\xa0", " ")
    assert "<h1>Resolved by hand by ada: camera turned. The evidence had not fallen back.</h1>" in page
    assert "alerts again only if it gets worse" in page
    assert "back to its usual share" not in page
    assert "It is over." not in page


def test_page_before_the_diagnosis_is_done_says_what_is_waited_for():
    shown = Outline(build_page(build_running_dossier())).shown
    assert "Diagnosis is running" in shown
    assert "the original one comes back by itself" in shown
    assert "Firing" in shown
    assert "under way" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_page_of_the_barest_incident_of_each_kind_stands(kind):
    outline = Outline(build_page(Dossier(incident=build_incident(kind=kind), made_at=at(100))))
    assert "What to do next" in outline.shown
    assert outline.find("img") == []


def test_endpoint_that_did_not_come_back_is_said_in_red():
    configs = EndpointConfigs(original=ORIGINAL, hooked=HOOKED, final=HOOKED)
    page = build_page(build_dossier(configs=configs)).decode()
    assert "2 settings differ from the original configuration." in page
    assert page.count('class="astray"') == 2


@pytest.mark.parametrize("past", [True, False])
def test_heat_map_that_looks_past_the_region_is_marked_and_counted(past):
    explained = (build_explained(1), build_explained(2, outside_share=0.52, looks_past=past))
    page = build_page(build_dossier(explained=explained)).decode()
    assert page.count("Looks past the region") == past
    assert ("1 of 2 look past the region of interest" in page) is past


@pytest.mark.parametrize(("error", "doubt"), [(COMPLETENESS_LIMIT, False), (2e-4, True), (None, True)])
def test_heat_map_that_does_not_add_up_is_marked(error, doubt):
    page = build_page(build_dossier(explained=(build_explained(1, completeness_error=error),))).decode()
    assert ("Incomplete: do not trust" in page) is doubt


def test_heat_maps_stand_by_what_they_are_in_the_incident_with_their_requests():
    shown = Outline(build_page(build_dossier())).shown
    assert shown.index("In the finding 16, ") < shown.index("Clean 4, ") < shown.index("Beside it 4, ")
    assert "Their requests: 24 of 24 found in the data capture" in shown
    assert "00000003-77b1-4c0e-9f0d-1b5c2a3d4e5f" in shown
    assert "s3://captures/2026/11/21/20/35-05-1.jsonl line 4" in shown


def test_the_page_says_what_the_diagnosis_cost():
    shown = Outline(build_page(build_dossier())).shown
    assert "12.3 ms, the median" in shown
    assert "at most $0.023 (list prices of us-east-1, 2025-10)" in shown


def test_a_request_that_was_not_captured_is_said_to_be():
    one = build_explained(1, event_id="", where="", role="")
    shown = Outline(build_page(build_dossier(explained=(one,), looked=None))).shown
    assert "Their requests: 0 of 1 found in the data capture" in shown
    assert "not captured" in shown


@pytest.mark.parametrize(
    ("verdict", "alarming"),
    [("past", True), ("elsewhere", True), ("no_difference", False), ("too_few", False)],
)
def test_where_the_model_looks_is_shown_in_three_pictures_and_red_only_where_something_was_found(
    verdict, alarming
):
    page = build_page(build_dossier(looked=build_looked(verdict=verdict))).decode()
    section = page[page.index('id="looks"') : page.index('id="heatmaps"')]
    assert section.count("<img") == 3
    assert ('class="verdict bad"' in section) is alarming
    assert "the mean heat maps differ by 31%" in section


def test_what_the_saliency_job_could_not_do_is_said():
    note = "Clean inputs could not be run through the model to compare with: no torch"
    assert note in Outline(build_page(build_dossier(explain_notes=(note,)))).shown


@pytest.mark.parametrize("trace", [
    (TracePoint(at(1), 0.0),),
    (TracePoint(at(1), -300.0), TracePoint(at(1), 250.0)),
    (TracePoint(at(1), float("inf")), TracePoint(at(2), float("nan")), TracePoint(at(3), 1.0)),
    (TracePoint(at(1), float("-inf")),),
])  # fmt: skip
def test_trace_of_any_shape_can_be_drawn(trace):
    page = build_page(build_dossier(trace=trace)).decode()
    assert not re.search(r'="[^"]*(nan|inf\b)[^"]*"', page.split("</style>")[1])


def test_a_drawing_that_has_lost_its_beginning_says_so_and_marks_no_moment_that_it_has_not():
    whole = build_page(build_dossier()).decode()
    late = build_page(build_dossier(trace=build_dossier().trace[-8:])).decode()
    assert "found 20:34:50" in whole
    assert "no longer kept" not in whole
    assert "found 20:34:50" not in late
    assert "cleared 20:36:45" in late
    assert "What it was before 20:36:17 is no longer kept." in late


def test_of_many_events_the_first_and_the_latest_are_shown():
    entries = tuple(Entry(at(n), f"event_{n}", "r", "d") for n in range(1000))
    page = build_page(build_dossier(entries=entries)).decode()
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert [n for n in range(1000) if f"Event {n}<" in shown] == [*range(10), *range(950, 1000)]


def test_an_incident_of_several_days_tells_of_each_event_and_message_which_day():
    day = 86_400
    entries = (*ENTRIES, Entry(at(day), "severity_rose", "evidence_grew", "x"))
    told = (*TOLD, msgspec.structs.replace(TOLD[0], at=at(2 * day)))
    shown = Outline(build_page(build_dossier(entries=entries, told=told))).shown
    assert shown.index("21 Nov 2026 20:34:50") < shown.index("22 Nov 2026 20:34:05")
    assert "21 Nov 20:34:52" in shown
    assert "23 Nov 20:34:05" in shown
    assert "21 Nov 20:34:52" not in Outline(build_page(build_dossier())).shown


def test_large_incident_pages_well():
    entries = tuple(Entry(at(n), "finding_raised", "r", "d") for n in range(1000))
    counts = {str(n): 1000 - n for n in range(200)}
    finding = msgspec.structs.replace(build_dossier().incident.latest, counts=counts, expected_shares={})
    incident = msgspec.structs.replace(build_dossier().incident, findings=(finding,))
    page = build_page(build_dossier(entries=entries, incident=incident, explained=(), samples=()))
    assert "940 events between" in page.decode()
    assert "188 rarer classes are not shown" in page.decode()
    assert len(page) < 600_000
