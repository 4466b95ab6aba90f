from __future__ import annotations

from pathlib import Path

import pytest

from sagewatch.evidence.index_page import build_index
from sagewatch.evidence.page import build_page
from sagewatch.replay.page import build_backtest_page
from tests.browser.chromium import find_chromium, open_tab
from tests.unit.evidence.runs import build_hostile_runs, build_runs
from tests.unit.evidence.story import build_dossier, build_running_dossier
from tests.unit.evidence.test_on_call import build_large, rows
from tests.unit.evidence.test_page import build_hostile, build_hostile_index
from tests.unit.flows.worlds import NOW

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

BREAKOUT = "</title></style></script>'\"><script>window.broken=1</script><img src=x onerror=window.broken=1>"
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "done": build_dossier,
    "running": build_running_dossier,
    "hostile": lambda: build_hostile(BREAKOUT),
    "long": lambda: build_hostile("W" * 10_000),
    "large": build_large,
}
BUILT = {
    "index": lambda: build_index(rows(30), NOW),
    "backtest": lambda: build_backtest_page(*build_runs(), "sagewatch backtest"),
    "hostile-index": lambda: build_hostile_index(BREAKOUT),
    "long-index": lambda: build_hostile_index("W" * 10_000),
    "hostile-backtest": lambda: build_backtest_page(*build_hostile_runs(BREAKOUT)),
    "long-backtest": lambda: build_backtest_page(*build_hostile_runs("W" * 10_000)),
}
SCREENSHOTS = Path(__file__).parents[2] / ".build" / "screenshots"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with open_tab(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def show(tab, tmp_path):
    """Opens a page of the story in the tab, whose lists begin anew."""

    def show_page(name, *, width=1280, dark=False):
        path = tmp_path / f"{name}.html"
        path.write_bytes(BUILT[name]() if name in BUILT else build_page(PAGES[name]()))
        tab.requests.clear()
        tab.complaints.clear()
        tab.open(path, width=width, dark=dark)
        return tab

    return show_page


@pytest.mark.parametrize("name", [*PAGES, *BUILT])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_page_opens_without_complaint_or_outside_request(show, name, width, dark):
    tab = show(name, width=width, dark=dark)
    assert [text for text in tab.complaints if "favicon" not in text] == []
    assert [url for url in tab.requests if not url.startswith(("data:image/", "file:"))] == []
    assert len([url for url in tab.requests if url.startswith("file:")]) == 1
    assert tab.evaluate("window.broken") is None
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(SCREENSHOTS / f"{name}-{width}-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize("name", [*PAGES, *BUILT])
@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_page_fits_its_window(show, name, width):
    tab = show(name, width=width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_follow_the_system(show):
    colours = [
        show("done", dark=dark).evaluate("getComputedStyle(document.body).backgroundColor")
        for dark in (False, True)
    ]
    assert colours == ["rgb(251, 251, 248)", "rgb(20, 22, 19)"]


def test_slider_moves_by_keyboard_and_one_slider_moves_all(show):
    tab = show("done")
    cuts = "[...document.querySelectorAll('.compare')].map(one => getComputedStyle(one).getPropertyValue('--cut'))"
    assert set(tab.evaluate(cuts)) == {"50%"}
    tab.evaluate("document.querySelector('.cut.one').focus()")
    tab.press("ArrowRight", 39, times=5)
    assert tab.evaluate(cuts)[:2] == ["60%", "50%"]
    assert tab.evaluate("getComputedStyle(document.querySelector('.compare')).outlineStyle") == "solid"
    tab.evaluate("document.querySelector('.cut.all').focus()")
    tab.press("End", 35)
    assert set(tab.evaluate(cuts)) == {"100%"}


def test_every_control_is_reached_by_tab_key_and_shows_its_focus(show):
    tab = show("done")
    reached = set()
    for _ in range(60):
        tab.press("Tab", 9)
        name = tab.evaluate(
            "(e => e && e !== document.body ? (e.getAttribute('aria-label') || e.textContent).trim() : '')(document.activeElement)"
        )
        if name:
            reached.add(name)
    controls = tab.evaluate("document.querySelectorAll('a, input, summary').length")
    assert len(reached) == controls


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: bin/setup")
@pytest.mark.parametrize("name", [*PAGES, *BUILT])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_violation(show, name, dark):
    tab = show(name, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    # The page's own policy forbids other scripts; what the DevTools evaluate is not the page's.
    tab.evaluate(AXE.read_text() + "; 0")
    passed, found = tab.evaluate(
        "axe.run().then(r => [r.passes.length, r.violations.map(v => "
        "[v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))])])"
    )
    assert passed > 10
    assert [one for one in found if one[0] in {"serious", "critical"}] == []


def test_the_index_is_filtered_by_keyboard(show):
    tab = show("index")
    visible = "[...document.querySelectorAll('.index tbody tr')].filter(one => !one.hidden).length"
    assert tab.evaluate(visible) == 30
    tab.evaluate("document.querySelector('select[name=endpoint]').focus()")
    tab.press("ArrowDown", 40)
    tab.evaluate("document.activeElement.dispatchEvent(new Event('change'))")
    assert tab.evaluate(visible) == 15
    assert tab.evaluate("document.getElementById('shown').textContent") == "15 shown"


def test_pictures_are_shown(show):
    tab, dossier = show("done"), build_dossier()
    means = 3  # of the suspicious inputs, of the others, and how they differ
    expected = {"inputs": len(dossier.samples), "heatmaps": 2 * len(dossier.explained), "looks": means}
    counted = {name: tab.evaluate(f"document.querySelectorAll('#{name} img').length") for name in expected}
    assert counted == expected
    assert tab.evaluate("document.images.length") == sum(expected.values())
    assert tab.evaluate("[...document.images].every(one => one.complete && one.naturalWidth === 16)")


def test_text_keeps_its_contrast(show):
    """Foreground against page background, for every element with text of its own: 4.5, WCAG AA."""
    for dark in (False, True):
        worst = show("done", dark=dark).evaluate(_WORST_CONTRAST)
        assert worst[0] >= 4.5, worst


_WORST_CONTRAST = """(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let worst = [21, ""];
  for (const one of document.querySelectorAll("body *:not(script):not(.inside)")) {
    const own = [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || one.tagName === "title") continue;
    const style = getComputedStyle(one);
    const a = light(channels(one.tagName === "text" ? style.fill : style.color)), b = light(ground(one));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, one.outerHTML.slice(0, 120)];
  }
  return worst;
})()"""


@pytest.mark.parametrize("name", ["done", "large"])
def test_what_is_folded_is_printed_and_folded_again_afterwards(show, name):
    tab = show(name)
    folded = "document.querySelectorAll('details:not([open])').length"
    before = tab.evaluate(folded)
    assert before > 0
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.folded = {folded}; }})")
    tab.call("Page.printToPDF")
    assert (tab.evaluate("window.folded"), tab.evaluate(folded)) == (0, before)


@pytest.mark.parametrize("name", ["index", "backtest"])
def test_on_a_phone_each_value_stands_beside_the_name_of_its_column(show, name):
    tab = show(name, width=390)
    heads = tab.evaluate("[...document.querySelectorAll('.index thead th')].map(one => one.textContent)")
    told = tab.evaluate(
        "[...document.querySelectorAll('.index td')].map(one => getComputedStyle(one, '::before').content.slice(1, -1))"
    )
    assert set(told) < set(heads)
    assert len(set(told)) == len(set(heads)) - 1, "all but the row's own heading"
