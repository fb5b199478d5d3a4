"""The page in a browser: drawn whole, without a request, in both widths and both colours.

The browser is a chromium that is installed: ``CHROMIUM`` names it, or it is found by its name.
"""

import os
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from snntx.report.gather import Found
from snntx.report.page import Part, part_of, write_page
from snntx.report.together import together

pytestmark = pytest.mark.slow
SIZES = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
OVERFLOWING = """() => [...document.querySelectorAll("body *")].filter(e => {
  if (e.closest(".wide, .skip, details:not([open])") && !e.matches(".wide")) return false;
  const r = e.getBoundingClientRect();
  return r.width && (r.right > innerWidth + 1 || r.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""
FAINT = """() => {
  const part = (text) => {
    const found = text.match(/[\\d.]+(e-?\\d+)?/g).map(Number);
    const scale = text.startsWith("color(") ? 1 : 255;
    return { rgb: found.slice(0, 3).map(v => v / scale), alpha: found[3] ?? 1 };
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const found = part(getComputedStyle(e).backgroundColor);
      if (found.alpha > 0) return found.rgb;
    }
    return [1, 1, 1];
  };
  const out = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || ["SCRIPT", "STYLE"].includes(e.tagName) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const a = light(part(e.closest("svg") ? style.fill : style.color).rgb), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) out.push(`${ratio.toFixed(2)} ${e.tagName} ${e.textContent.slice(0, 40)}`);
  }
  return out;
}"""
UNNAMED = """() => [
  ...[...document.images].filter(e => !e.alt),
  ...[...document.querySelectorAll("svg")].filter(e => !e.getAttribute("aria-label")),
  ...[...document.querySelectorAll("table")].filter(e => !e.caption?.textContent.trim()),
  ...[...document.querySelectorAll("th")].filter(e => !e.scope || !e.textContent.trim()),
  ...[...document.querySelectorAll("button, a, summary")].filter(e => !e.textContent.trim()),
  ...[...document.querySelectorAll("[tabindex]")].filter(e => !e.getAttribute("aria-label")),
].map(e => e.outerHTML.slice(0, 120))"""
CROSSING = """() => [...document.querySelectorAll("svg")].flatMap(svg => {
  const boxes = [...svg.querySelectorAll("text")].map(e => [e, e.getBoundingClientRect()]);
  const whole = svg.getBoundingClientRect();
  return boxes.flatMap(([e, a], i) => [
    ...(a.left < whole.left - 1 || a.right > whole.right + 1
      || a.top < whole.top - 1 || a.bottom > whole.bottom + 1 ? [`out: ${e.textContent}`] : []),
    ...boxes.slice(i + 1).filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 2 && b.top < a.bottom - 2).map(([f]) => `${e.textContent} | ${f.textContent}`),
  ]);
})"""  # noqa: E501


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A chromium without a window."""
    named = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if named is None:
        pytest.skip("no chromium: apt-get install chromium, or name one in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # a sandbox of its own cannot be made by root, as whom CI runs
        started = playwright.chromium.launch(executable_path=named, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(
    gathered: dict[str, Found],
    hostile: Found,
    runs: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Of a page with two runs side by side, one of them under hostile names."""
    both = [hostile, gathered["alone"]]
    named = [(runs["both"], hostile.name), (runs["alone"], "alone")]
    section = together(list(runs.values()), named, both, "")
    parts = [Part("runs", "Comparison", (section,))]
    parts += [part_of(each, number) for number, each in enumerate(both, 1)]
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(write_page("two runs", parts), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, at a width and in colours; it may say nothing, and ask for nothing."""
    width, scheme = getattr(request, "param", SIZES[0])
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda each: asked.append(each.url))
    page.goto(address)
    yield page
    page.close()
    assert said == []
    assert [each for each in asked if not each.startswith("data:")] == [address]


@pytest.mark.parametrize("opened", SIZES, indirect=True)
def test_nothing_overflows_or_is_faint_and_every_picture_is_drawn(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.evaluate(OVERFLOWING) == []
    assert opened.evaluate("[...document.images].length") > 0
    assert opened.evaluate("[...document.images].filter(e => !e.naturalWidth).length") == 0
    assert opened.evaluate(FAINT) == []
    assert opened.evaluate(CROSSING) == []


def test_everything_has_a_name_and_headings_go_by_one(opened: Any) -> None:
    assert opened.evaluate(UNNAMED) == []
    levels = opened.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert opened.locator(landmark).count() == 1


def test_every_axis_has_a_unit(opened: Any) -> None:
    names = opened.evaluate("[...document.querySelectorAll('svg .name')].map(e => e.textContent)")
    assert len(names) == 2 * opened.locator("svg").count()
    unit = re.compile(r"\(.+\)|spikes per neuron")
    assert [name for name in names if not unit.search(name)] == []


def column(page: Any, table: Any, place: int) -> list[str]:
    found: list[str] = table.evaluate(
        "(e, i) => [...e.tBodies[0].rows].map(row => row.cells[i].textContent)", place
    )
    return found


def test_tables_sort_by_click_and_by_keyboard(opened: Any) -> None:
    table = opened.locator("#run1-classes table")
    shares = [float(each) for each in column(opened, table, 1)]
    button = table.locator("thead button").nth(1)
    button.click()
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "ascending"
    assert [float(each) for each in column(opened, table, 1)] == sorted(shares)
    button.focus()
    opened.keyboard.press("Enter")
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"
    assert [float(each) for each in column(opened, table, 1)] == sorted(shares, reverse=True)
    table.locator("thead button").first.press("Space")
    assert opened.locator("#run1-classes th[aria-sort]").count() == 1
    for each in opened.locator("table[data-sortable]").all():
        assert each.locator("thead button").count() == each.locator("thead th").count()


def test_the_first_tab_skips_and_the_focus_is_seen(opened: Any) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    assert opened.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    outline = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_reader_chooses_the_colours(opened: Any) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(paper)
    button = opened.locator("button.theme")
    button.click()
    assert opened.evaluate(paper) == light
    button.click()
    assert opened.evaluate(paper) != light


def test_it_prints_and_is_whole_without_scripts(browser: Any, address: str, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("table").count() > 10
    assert page.locator("button").count() == 0
    context.close()
    page = browser.new_page(color_scheme="dark")
    page.goto(address)
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    assert page.pdf(path=tmp_path / "page.pdf").startswith(b"%PDF")
    page.close()
