"""Means with their intervals: places worked out by hand, what is not drawn, escaped names."""

import re
from xml.etree import ElementTree

import pytest

from snntx.report.charts import RIGHT, WIDTH, Axis, shortened
from snntx.report.dots import LEFT, Dots, dots

AXIS = Axis("top-1 (share right)", 0, 1)


def circles(svg: str) -> list[float]:
    return [float(x) for x in re.findall(r'<circle [^>]*cx="([^"]+)"', svg)]


def test_values_means_and_intervals_lie_where_their_numbers_are() -> None:
    # the interval from 0 to 1 fills the axis, so 0.25 and 0.75 lie at its quarters
    svg = str(dots("Means", AXIS, "group (name)", [Dots("a", [0.25, 0.75], 0.5, 0.0, 1.0)]))
    room = WIDTH - RIGHT - LEFT
    assert circles(svg) == [LEFT + room / 4, LEFT + 3 * room / 4]
    [mean] = re.findall(r'<polygon class="mean" points="([^ ,]+)', svg)
    assert float(mean) == LEFT + room / 2
    ends = re.findall(r'class="line s0" x1="([^"]+)" x2="([^"]+)"', svg)
    assert [tuple(map(float, each)) for each in ends] == [
        (LEFT, WIDTH - RIGHT), (LEFT, LEFT), (WIDTH - RIGHT, WIDTH - RIGHT),
    ]  # fmt: skip


def test_a_group_without_an_interval_has_no_line() -> None:
    svg = str(dots("Means", AXIS, "group (name)", [Dots("a", [0.5], 0.5, None, None)]))
    assert 'class="line' not in svg
    assert len(circles(svg)) == 1


def test_differences_have_a_line_at_nought() -> None:
    axis = Axis("difference (share right)")
    both = str(dots("d", axis, "group (name)", [Dots("a", [-0.1, 0.1], 0.0, -0.1, 0.1)]))
    above = str(dots("d", axis, "group (name)", [Dots("a", [0.1, 0.2], 0.15, 0.1, 0.2)]))
    assert (both.count('class="axis"'), above.count('class="axis"')) == (2, 1)


def test_axes_are_named_and_foreign_names_are_escaped() -> None:
    name = '<script>"&\x1b'
    svg = dots(name, AXIS, "group (name)", [Dots(name, [0.5], 0.5, None, None)])
    root = ElementTree.fromstring(str(svg))
    texts = [each.text for each in root.iter("text")]
    assert {AXIS.name, "group (name)", '<script>"&\\x1b'} <= set(texts)
    assert "Means: " in root.attrib["aria-label"]


def test_nothing_to_draw_is_refused() -> None:
    for groups in ([], [Dots("a", [], 0.0, None, None)]):
        with pytest.raises(ValueError, match="no value to draw"):
            dots("Means", AXIS, "group (name)", groups)


def test_long_names_lose_their_middle() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 7) == "abc…ijk"
    assert shortened("abcdefghijk", 6) == "abc…jk"
