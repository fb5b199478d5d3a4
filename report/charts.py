"""Lines over an axis, drawn as SVG that takes its colours from the page.

In: columns of numbers, with the name and unit of each axis. Out: markup. Series differ in colour,
in dashes and in the shape of their points, so that they are told apart without colours too (those
are Okabe and Ito's, 2008, and ``style.css`` has one of each for light and for dark).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..errors import plain

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 10, 46
LETTER, LINE = 6.6, 17
"""Room for a letter of a legend, and for a line of it, in units of the picture."""
MOST = 24
"""Series that can be told apart: six colours by four kinds of dashes."""
COLOURS, KINDS = 6, 4
POINTS = 40
"""Points of a line up to which each is marked."""
LONGEST = 52
"""Letters of a name that have room in the legend."""


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: in the legend.
        values: by the axis's places; None where there is none.
    """

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        name: with its unit, such as ``epoch`` or ``energy (µJ)``.
        low: where it begins; None to begin at the least value.
        high: where it ends; None to end at the largest.
        whole: whether only whole numbers are written at it.
    """

    name: str
    low: float | None = None
    high: float | None = None
    whole: bool = False


def ticks(low: float, high: float, whole: bool = False, most: int = 6) -> list[float]:
    """Return round numbers from ``low`` to ``high``, ``most`` or fewer."""
    span = high - low
    if span <= 0:
        return [low]
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * k for k in (1, 2, 5, 10, 20) if span / (size * k) <= most)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def lines(
    title: str, x: Axis, y: Axis, places: Sequence[float], series: Sequence[Series]
) -> Markup:
    """Draw lines.

    Args:
        title: what a reader who does not see it is told first.
        x: the axis across.
        y: the axis up.
        places: of the values at ``x``.
        series: at most :data:`MOST`.

    Raises:
        ValueError: more series than can be told apart, or no value.
    """
    if len(series) > MOST:
        raise ValueError(f"{len(series)} series, expected {MOST} or fewer")
    legend, rows = _legend(series)
    top = TOP + rows * LINE
    across = _scale(places, x, LEFT, WIDTH - RIGHT)
    found = [v for each in series for v in each.values if v is not None and math.isfinite(v)]
    height = HEIGHT + max(rows - 1, 0) * LINE
    up = _scale(found, y, height - BOTTOM, top)
    parts = [_axes(x, y, across, up, top, height)]
    for i, each in enumerate(series):
        parts.append(_line(i, places, each, across, up))
    parts.append(legend)
    alt = f"{title}. {_told(series)}. Across: {x.name}; up: {y.name}."
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, height, plain(alt), Markup("").join(parts))


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def _scale(values: Sequence[float], axis: Axis, start: float, end: float) -> _Scale:
    if not values:
        raise ValueError(f"{axis.name}: no value to draw")
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return _Scale(low, high, start, end)


def _axes(x: Axis, y: Axis, across: _Scale, up: _Scale, top: float, height: float) -> Markup:
    out = []
    for value in ticks(up.low, up.high, y.whole):
        place = f"{up(value):.1f}"
        out.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            LEFT, WIDTH - RIGHT, place, place))  # fmt: skip
        out.append(Markup('<text class="tick" x="{}" y="{}" dy="4" text-anchor="end">{}</text>')
                   .format(LEFT - 6, place, f"{value:.6g}"))  # fmt: skip
    below = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    out += [
        below.format(f"{across(value):.1f}", height - BOTTOM + 16, f"{value:.6g}")
        for value in ticks(across.low, across.high, x.whole)
    ]
    out.append(Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        LEFT, WIDTH - RIGHT, height - BOTTOM, height - BOTTOM))  # fmt: skip
    out.append(Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        (LEFT + WIDTH - RIGHT) / 2, height - 8, plain(x.name)))  # fmt: skip
    middle = (top + height - BOTTOM) / 2
    out.append(Markup('<text class="name" transform="translate(13 {}) rotate(-90)" '
                      'text-anchor="middle">{}</text>').format(middle, plain(y.name)))  # fmt: skip
    return Markup("").join(out)


def _look(i: int) -> str:
    return f"s{i % COLOURS} d{_kind(i)}"


def _kind(i: int) -> int:
    """Return which dashes and points line ``i`` has; those of one colour differ."""
    return (i + i // COLOURS) % KINDS


def _line(i: int, places: Sequence[float], series: Series, across: _Scale, up: _Scale) -> Markup:
    pieces: list[list[tuple[float, float]]] = [[]]
    for place, value in zip(places, series.values, strict=True):
        if value is None or not math.isfinite(value):
            pieces.append([])
        else:
            pieces[-1].append((across(place), up(value)))
    out = []
    for piece in filter(None, pieces):
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in piece)
        out.append(Markup('<polyline class="line {}" points="{}"/>').format(_look(i), path))
        if len(places) <= POINTS:
            out += [_mark(i, a, b) for a, b in piece]
    return Markup("").join(out)


def _mark(i: int, x: float, y: float) -> Markup:
    """Return a circle, a square, a diamond or a triangle."""
    look = f"mark {_look(i)}"
    if _kind(i) == 0:
        return Markup('<circle class="{}" cx="{}" cy="{}" r="2.6"/>').format(
            look, f"{x:.1f}", f"{y:.1f}"
        )
    corners = {
        1: ((-2.5, -2.5), (2.5, -2.5), (2.5, 2.5), (-2.5, 2.5)),
        2: ((0, -3.4), (3.4, 0), (0, 3.4), (-3.4, 0)),
        3: ((0, -3.2), (3, 2.4), (-3, 2.4)),
    }[_kind(i)]
    path = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    return Markup('<polygon class="{}" points="{}"/>').format(look, path)


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many letters: what is too much is left out in the middle."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"


def _legend(series: Sequence[Series]) -> tuple[Markup, int]:
    """Return the legend and its lines."""
    names = [shortened(plain(each.name), LONGEST) for each in series]
    widest = 30 + LETTER * max(map(len, names), default=0)
    left = float(LEFT if LEFT + widest <= WIDTH - RIGHT + 12 else 8)
    out, x, row = [], left, 0
    for i, name in enumerate(names):
        room = 30 + LETTER * len(name) + 12
        if x > left and x + room > WIDTH - RIGHT + 12:
            x, row = left, row + 1
        y = TOP + row * LINE
        out.append(Markup('<line class="line {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _look(i), f"{x:.1f}", f"{x + 22:.1f}", y, y))  # fmt: skip
        out.append(_mark(i, x + 11, y))
        out.append(Markup('<text class="key" x="{}" y="{}" dy="4">{}</text>').format(
            f"{x + 27:.1f}", y, name))  # fmt: skip
        x += room
    return Markup("").join(out), row + 1


def _told(series: Sequence[Series]) -> str:
    """Return where each line begins and ends."""
    told = []
    for each in series:
        found = [v for v in each.values if v is not None and math.isfinite(v)]
        told.append(f"{each.name} from {found[0]:.3g} to {found[-1]:.3g}" if found else each.name)
    return "; ".join(told)
