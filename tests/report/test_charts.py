"""Charts: round ticks, places worked out by hand, names and units, escaped text."""

import re
from xml.etree import ElementTree

import pytest

from snntx.report.blocks import SHADES, columns, number, shaded
from snntx.report.charts import LEFT, MOST, RIGHT, WIDTH, Axis, Series, lines, ticks


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 6, True, [1, 2, 3, 4, 5, 6]),
        (1, 2, True, [1, 2]),
        (0, 95, False, [0, 20, 40, 60, 80]),
        (3, 3, False, [3]),
        (-1, 1, False, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert ticks(low, high, whole) == pytest.approx(expected)


def test_a_line_goes_where_its_numbers_are() -> None:
    x, y = Axis("epoch (number)"), Axis("loss (nats)", 0, 2)
    svg = lines("Loss", x, y, [1, 2, 3], [Series("train", [2.0, 1.0, 0.0])])
    [points] = re.findall(r'points="([^"]+)"', str(svg))
    places = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert [a for a, _ in places] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert places[0][1] < places[1][1] < places[2][1]  # down, as the page counts
    assert places[1][1] == pytest.approx((places[0][1] + places[2][1]) / 2)


def test_a_value_that_is_missing_breaks_the_line() -> None:
    series = [Series("one", [0.0, None, 1.0, float("nan"), 1.0])]
    svg = str(lines("t", Axis("x"), Axis("y"), [1, 2, 3, 4, 5], series))
    assert svg.count("<polyline") == 3


def test_axes_are_named_and_foreign_names_are_escaped() -> None:
    name = '<script>"&\x1b'
    svg = lines(name, Axis("a (s)"), Axis("b (µJ)"), [0, 1], [Series(name, [0, 1])])
    root = ElementTree.fromstring(str(svg))
    texts = [each.text for each in root.iter("text")]
    assert {"a (s)", "b (µJ)", '<script>"&\\x1b'} <= set(texts)
    assert root.get("role") == "img"
    assert "from 0 to 1" in root.attrib["aria-label"]


def test_series_look_different() -> None:
    series = [Series(str(i), [0, i]) for i in range(MOST)]
    svg = str(lines("t", Axis("x"), Axis("y"), [0, 1], series))
    looks = set(re.findall(r'polyline class="line ([^"]+)"', svg))
    assert len(looks) == MOST
    with pytest.raises(ValueError, match="expected 24"):
        lines("t", Axis("x"), Axis("y"), [0, 1], [*series, Series("more", [0, 1])])


def test_one_value_and_none_are_drawn_or_refused() -> None:
    assert "<polyline" in lines("t", Axis("x"), Axis("y"), [1], [Series("one", [0.5])])
    with pytest.raises(ValueError, match="no value"):
        lines("t", Axis("x"), Axis("y"), [1], [Series("one", [None])])


def test_fields_say_what_they_are_sorted_by() -> None:
    assert (number(0.12345).text, number(0.12345).value) == ("0.1235", 0.12345)
    assert (number(None).text, number(float("nan")).value) == ("–", None)
    assert [shaded("", v).shade for v in (0, 0.5, 1, 1.2, None)] == [0, 4, SHADES, SHADES, None]
    table = columns("c", ["epoch", "loss"], [1.0, 2.0], [0.5, None])
    assert [[cell.text for cell in row] for row in table.rows] == [["1", "0.5"], ["2", "–"]]
