"""Groups below one another, each with its mean, the interval of it and every single value, as SVG.

In: values by group, with the name and unit of the axis across. Out: markup. A mean is a filled
diamond, an interval the line through it, a value a small circle; so no colour tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..errors import plain
from .charts import RIGHT, TOP, WIDTH, Axis, shortened, ticks

LEFT, BOTTOM = 32, 46
ROW = 38
"""Height of a group, its name above its values."""
LEAST = 90
"""Height that the name of the groups' axis needs."""
FOLDED = 52
"""Letters of a name that have room."""


@dataclass(frozen=True)
class Dots:
    """One group.

    Attributes:
        name: above its values.
        values: one a run.
        mean: of them.
        low: lower end of the mean's interval; None where there is none.
        high: its upper end.
    """

    name: str
    values: Sequence[float]
    mean: float
    low: float | None
    high: float | None


def dots(title: str, x: Axis, y: str, groups: Sequence[Dots]) -> Markup:
    """Draw groups.

    Args:
        title: what a reader who does not see it is told first.
        x: the axis across.
        y: name of the groups' axis, with what they are named by.
        groups: from above to below.

    Raises:
        ValueError: no group, or one without a value.
    """
    if not groups or not all(each.values for each in groups):
        raise ValueError(f"{title}: no value to draw")
    every = [v for g in groups for v in (*g.values, g.mean, g.low, g.high) if v is not None]
    low, high = min(every), max(every)
    pad = (high - low) * 0.04 or 0.05
    low = low - pad if x.low is None else max(low - pad, x.low)
    high = high + pad if x.high is None else min(high + pad, x.high)
    floor = TOP + max(ROW * len(groups), LEAST)

    def across(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return LEFT + share * (WIDTH - RIGHT - LEFT)

    out = []
    for value in ticks(low, high, x.whole):
        place = f"{across(value):.1f}"
        out.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            place, place, TOP, floor))  # fmt: skip
        out.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            place, floor + 16, f"{value:.4g}"))  # fmt: skip
    if low < 0 < high:
        out.append(Markup('<line class="axis" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            f"{across(0):.1f}", TOP, floor))  # fmt: skip
    for i, group in enumerate(groups):
        out.append(_group(group, TOP + ROW * i, across))
    out.append(Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        LEFT, WIDTH - RIGHT, floor, floor))  # fmt: skip
    out.append(Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        (LEFT + WIDTH - RIGHT) / 2, floor + BOTTOM - 8, plain(x.name)))  # fmt: skip
    turned = '<text class="name" transform="translate(13 {}) rotate(-90)" text-anchor="middle">'
    out.append(Markup(turned + "{}</text>").format((TOP + floor) / 2, plain(y)))
    told = "; ".join(f"{each.name} {each.mean:.3g}" for each in groups)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, floor + BOTTOM, plain(f"{title}. Means: {told}. Across: {x.name}."),
             Markup("").join(out))  # fmt: skip


def _group(group: Dots, top: float, across: Callable[[float], float]) -> Markup:
    y = top + 26
    out = [Markup('<text class="key" x="{}" y="{}">{}</text>').format(
        LEFT, top + 13, shortened(plain(group.name), FOLDED))]  # fmt: skip
    if group.low is not None and group.high is not None:
        a, b = across(group.low), across(group.high)
        for x1, x2, y1, y2 in ((a, b, y, y), (a, a, y - 4, y + 4), (b, b, y - 4, y + 4)):
            out.append(Markup('<line class="line s0" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                f"{x1:.1f}", f"{x2:.1f}", f"{y1:.1f}", f"{y2:.1f}"))  # fmt: skip
    x = across(group.mean)
    corners = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in ((0, -5), (5, 0), (0, 5), (-5, 0)))
    out.append(Markup('<polygon class="mean" points="{}"/>').format(corners))
    out += [
        Markup('<circle class="mark s1" cx="{}" cy="{}" r="2.6"/>').format(
            f"{across(value):.1f}", f"{y:.1f}"
        )
        for value in group.values
        if math.isfinite(value)
    ]
    return Markup("").join(out)
