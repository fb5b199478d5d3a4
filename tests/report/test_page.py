"""The page as text: what stands on it, that it is whole, and that no name gets out of its place."""

import base64
import dataclasses
import hashlib
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image

from snntx.errors import SnntxError, plain
from snntx.report import page as page_module
from snntx.report.gather import MISTAKES, WORST, Found
from snntx.report.page import part_of, write_page
from snntx.tests.report.conftest import HOSTILE

VOID = {"meta", "link", "img", "br", "line", "circle", "polyline", "polygon"}


class Tags(HTMLParser):
    """Elements with their attributes, text, and what was closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def text(gathered: dict[str, Found]) -> str:
    return write_page("both", [part_of(gathered["both"], 1)])


def test_the_page_is_well_formed_and_asks_for_nothing(text: str) -> None:
    found = Tags(text)
    assert found.wrong == []
    assert found.open == []
    assert not re.search(r"https?://|@import|url\(", text)
    addresses = [v for _, a in found.tags for k, v in a.items() if k in ("src", "href")]
    assert all(each and each.startswith(("#", "data:")) for each in addresses)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in found.named("a")} <= {f"#{each}" for each in ids}


def test_the_policy_allows_the_pages_own_script_alone(text: str) -> None:
    [policy] = [a["content"] for a in Tags(text).named("meta") if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("script", "style"):
        [body] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any(k.startswith("on") or k == "style" for _, a in Tags(text).tags for k in a)


def test_the_sections_stand_in_order(text: str) -> None:
    headings = re.findall(r'<h3 id="run1-(\w+)-title">', text)
    assert headings == ["results", "confusion", "classes", "learning", "costs", "transfer",
                        "saliency", "recipe", "data", "environment"]  # fmt: skip
    levels = [int(each) for each in re.findall(r"<h(\d)", text)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_figures_are_those_of_evaluate(text: str, gathered: dict[str, Found]) -> None:
    result = gathered["both"].result
    words = " ".join(Tags(text).texts)
    assert f"{result.metrics.top1:.4f} (95 % interval" in words
    assert f"{result.calibration.ece:.4f} (ECE)" in words
    assert result.cost is not None
    assert f"{result.cost.operations.acs:,.0f}" in words
    assert gathered["both"].data.key in words
    assert "epochs" in words
    assert f"top-1 {result.static.metrics.top1:.4f}" in words if result.static else True


def test_pictures_are_those_of_mistakes(text: str, gathered: dict[str, Found]) -> None:
    found = gathered["both"]
    shown = [each for listed in found.mistakes.values() for each in listed]
    assert 0 < len(found.mistakes) <= WORST
    assert all(0 < len(listed) <= MISTAKES for listed in found.mistakes.values())
    images = Tags(text).named("img")
    [classes] = re.findall(r'<section id="run1-classes".*?</section>', text, re.DOTALL)
    assert classes.count("<img") == sum(1 + (each.row.static is not None) for each in shown)
    for each in images:
        assert each["alt"]
        assert each["src"] is not None
        raw = base64.b64decode(each["src"].removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(raw)).size > (8, 8)
    for listed in found.mistakes.values():
        sure = [each.probability for each in listed]
        assert sure == sorted(sure, reverse=True)
        assert all(each.taken_for != each.row.label for each in listed)


def test_hostile_names_stay_text(hostile: Found) -> None:
    text = write_page(HOSTILE[0], [part_of(hostile, 1)], HOSTILE)
    found = Tags(text)
    assert found.wrong == []
    assert len(found.named("script")) == len(found.named("style")) == 1
    assert all(each["src"] and each["src"].startswith("data:") for each in found.named("img"))
    assert not any(name.startswith("on") for _, a in found.tags for name in a)
    assert "\x1b" not in text
    words = "".join(found.texts)
    for name in HOSTILE:
        assert plain(name) in words
    assert "{{ 7 * 7 }}" in words


def test_what_is_missing_is_said(gathered: dict[str, Found]) -> None:
    alone = gathered["alone"]
    words = " ".join(Tags(write_page("alone", [part_of(alone, 1)])).texts)
    assert "No transfer diagnostics: one branch alone was trained" in words
    assert "Static branch not measured: the run trained the event branch alone" in words
    bare = dataclasses.replace(alone, account=None, records=[], went=None, changed=None)
    words = " ".join(Tags(write_page("bare", [part_of(bare, 1)])).texts)
    assert "No learning curves: the run has no log.jsonl" in words
    assert "What differs from the card's recipe is not known" in words
    assert "it has no run.json" in words


def test_a_page_that_is_too_large_goes_without_pictures(
    gathered: dict[str, Found], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_BYTES", len(text.encode()) - 1)
    less = write_page("both", [part_of(gathered["both"], 1)])
    assert "<img" not in less
    assert "Pictures are left out" in less
    monkeypatch.setattr(page_module, "MOST_BYTES", 1000)
    with pytest.raises(SnntxError, match="report fewer runs"):
        write_page("both", [part_of(gathered["both"], 1)])
