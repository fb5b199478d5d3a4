"""A comparison as lines over an axis: every seed a point, means joined, intervals as bands.

With a baseline a second panel shows the paired differences and their intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ...errors import plain
from .axis import Series, series_of
from .compare import Comparison
from .runs import METRIC_NAMES
from .style import (
    AXIS_TITLES,
    BASELINE_COLOUR,
    COLOURS,
    DODGE_POINTS,
    LABEL_GAP_POINTS,
    MARKERS,
    PERCENT,
    caption,
    scale_of,
    scaled,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_lines(figure: Figure, found: Comparison, axis: str) -> None:
    """Draw a line a series over an axis: values above, differences below."""
    lines = series_of(found, axis)
    compared = found.comparisons > 0
    figure.set_size_inches(7.5, 6.2 if compared else 4.2)
    ratios = [3, 2] if compared else [1]
    panels = figure.subplots(
        len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
    )[:, 0]
    x_scale = 100.0 if axis in PERCENT else 1.0
    labels = []
    for number, (line, look) in enumerate(zip(lines, _looks(lines), strict=True)):
        aside = DODGE_POINTS * (number - (len(lines) - 1) / 2)
        end = _line(panels[0], line, found, x_scale, look, aside)
        labels.append((end, line.label, look["color"]))
        if compared and not line.baseline:
            _difference_line(panels[1], line, found, x_scale, look, aside)
    _set_x(panels[-1], sorted({x_scale * x for line in lines for x, _ in line.points}))
    panels[-1].set_xlabel(AXIS_TITLES.get(axis, axis))
    panels[0].set_ylabel(f"{found.part} {METRIC_NAMES[found.metric]} ({unit_of(found)})")
    if compared:
        panels[1].axhline(0, color=BASELINE_COLOUR, linewidth=0.9, zorder=1.5)
        panels[1].set_ylabel(
            f"paired difference from\n{found.baseline} ({unit_of(found, difference=True)})"
        )
    for panel in panels:
        panel.grid(axis="y", color="#EEEEEE", linewidth=0.8)
        panel.set_axisbelow(True)
    if found.metric != "loss":  # an interval may reach beyond what an accuracy can be
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, -2.0), min(high, 102.0))
    if len(lines) > 1:
        _label_ends(figure, panels[0], labels)
    caption(figure, "small dots: seeds; line: their mean; band and bars: 95 % interval of the mean")


def _looks(lines: list[Series]) -> list[dict[str, Any]]:
    """Return colour, marker and line style of each series; the baseline's are its own."""
    looks: list[dict[str, Any]] = []
    number = 0
    for line in lines:
        if line.baseline:
            looks.append({"color": BASELINE_COLOUR, "marker": "x", "linestyle": "--"})
            continue
        turn, i = divmod(number, len(COLOURS))
        style = ("-", "-.", ":")[turn % 3]
        looks.append({"color": COLOURS[i], "marker": MARKERS[i], "linestyle": style})
        number += 1
    return looks


def _aside(
    panel: Axes, xs: Sequence[float], ys: Sequence[float], points: float, **look: Any
) -> None:
    """Plot moved right by some points, so that series do not hide one another."""
    from matplotlib.transforms import ScaledTranslation

    figure = cast("Figure", panel.get_figure(root=True))
    moved = ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
    panel.plot(xs, ys, transform=panel.transData + moved, **look)
    panel.update_datalim(list(zip(xs, ys, strict=True)))  # moved data do not count by themselves
    panel.autoscale_view()


def _line(
    panel: Axes,
    line: Series,
    found: Comparison,
    x_scale: float,
    look: dict[str, Any],
    aside: float,
) -> tuple[float, float]:
    """Draw one series, its seeds ``aside`` by some points; returns where it ends."""
    scale = scale_of(found)
    xs = [x_scale * x for x, _ in line.points]
    means = [scale * row.sample.mean for _, row in line.points]
    panel.plot(xs, means, linewidth=1.6, markersize=4.5, **look)
    ends = [scaled(row.sample.low, row.sample.high, scale) for _, row in line.points]
    whole = [end or (mean, mean) for end, mean in zip(ends, means, strict=True)]
    low, high = [end[0] for end in whole], [end[1] for end in whole]
    panel.fill_between(xs, low, high, color=look["color"], alpha=0.13, linewidth=0)
    for x, (_, row) in zip(xs, line.points, strict=True):
        values = [scale * value for value in row.group.values.values()]
        dots = {"color": look["color"], "marker": "o", "linestyle": "", "markersize": 2.6}
        _aside(panel, [x] * len(values), values, aside, alpha=0.45, markeredgewidth=0, **dots)
    return xs[-1], means[-1]


def _difference_line(
    panel: Axes,
    line: Series,
    found: Comparison,
    x_scale: float,
    look: dict[str, Any],
    aside: float,
) -> None:
    """Draw the differences of one series from the baseline, ``aside`` by some points."""
    scale = scale_of(found)
    shown = [(x, row.paired.sample) for x, row in line.points if row.paired is not None]
    xs = [x_scale * x for x, _ in shown]
    means = [scale * sample.mean for _, sample in shown]
    _aside(panel, xs, means, aside, linewidth=1.6, markersize=4.5, **look)
    for x, (_, sample) in zip(xs, shown, strict=True):
        ends = scaled(sample.low, sample.high, scale)
        if ends is not None:
            _aside(panel, [x, x], ends, aside, color=look["color"], linewidth=1.2, alpha=0.8)


def _set_x(panel: Axes, values: list[float]) -> None:
    """Put ticks at the values, on a logarithmic axis where they span a wide range."""
    if values[0] > 0 and values[-1] / values[0] >= 20:
        panel.set_xscale("log")
    panel.minorticks_off()
    if len(values) <= 11:
        panel.set_xticks(values, [f"{value:.4g}" for value in values])


def _label_ends(
    figure: Figure, panel: Axes, labels: list[tuple[tuple[float, float], str, str]]
) -> None:
    """Write each line's name beside its end, moved apart where they would overlap."""
    figure.draw_without_rendering()
    heights = [panel.transData.transform(end)[1] * 72 / figure.dpi for end, _, _ in labels]
    places = _spread(heights, LABEL_GAP_POINTS)
    for (end, text, colour), height, place in zip(labels, heights, places, strict=True):
        panel.annotate(
            plain(text),
            end,
            xytext=(8 + DODGE_POINTS * len(labels) / 2, place - height),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
        )


def _spread(heights: list[float], gap: float) -> list[float]:
    """Return the nearest heights, in their order, that are at least ``gap`` apart."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    blocks: list[list[float]] = []  # of the heights that stick together: sum of bases, count
    for rank, i in enumerate(order):
        blocks.append([heights[i] - gap * rank, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    bases = [total / count for total, count in blocks for _ in range(int(count))]
    places = [0.0] * len(heights)
    for rank, i in enumerate(order):
        places[i] = bases[rank] + gap * rank
    return places
