"""A comparison as a picture: lines over an axis, or a dot and its interval for each group.

Every seed's value is a point; the line or large dot is their mean, the band or bar the 95 %
interval of the mean. With a baseline a second panel shows the paired differences.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SnntxError, UsageError, plain
from .axis import axis_of
from .compare import Comparison
from .lines import draw_lines
from .runs import METRIC_NAMES
from .style import BASELINE_COLOUR, COLOURS, STYLE, caption, scale_of, scaled, unit_of
from .tables import headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")


def plot(found: Comparison, path: Path, axis: str | None = None) -> None:
    """Draw a comparison.

    Args:
        found: what to draw.
        path: a .png or .svg file, which is replaced.
        axis: the setting to draw lines over; None looks for one.

    Raises:
        UsageError: another suffix, no such axis, or matplotlib is not installed.
        SnntxError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--plot {path}: the name has to end with {' or '.join(SUFFIXES)}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "--plot needs matplotlib, which is not installed: pip install 'snntx[plot]'"
        ) from error
    chosen = axis_of(found, axis)
    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        if chosen is None:
            _draw_dots(figure, found)
        else:
            draw_lines(figure, found, chosen)
        figure.suptitle(plain(headline(found)), x=0.01, ha="left", fontsize=10, color="#222222")
        metadata = {"Date": None} if path.suffix == ".svg" else None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=160, metadata=metadata)
        except OSError as error:
            raise SnntxError(f"{path}: cannot be written: {error.strerror}") from error


def _draw_dots(figure: Figure, found: Comparison) -> None:
    """Draw one line of the picture a group: values left, differences right."""
    compared = found.comparisons > 0
    rows = found.rows
    figure.set_size_inches(9.5 if compared else 6.5, 1.5 + 0.34 * len(rows))
    panels = figure.subplots(1, 2 if compared else 1, sharey=True, squeeze=False)[0]
    scale, bases = scale_of(found), {row.baseline for row in rows if row.baseline}
    for i, row in enumerate(rows):
        colour = BASELINE_COLOUR if row.group.label in bases else COLOURS[0]
        values = [scale * value for value in row.group.values.values()]
        low, high = row.sample.low, row.sample.high
        _dot(panels[0], i, values, scale * row.sample.mean, scaled(low, high, scale), colour)
        if row.paired is not None:
            sample = row.paired.sample
            values = [scale * value for value in row.paired.differences.values()]
            ends = scaled(sample.low, sample.high, scale)
            _dot(panels[1], i, values, scale * sample.mean, ends, colour)
    panels[0].set_yticks(
        range(len(rows)), [plain(row.group.label) for row in rows], color="#222222"
    )
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    panels[0].set_xlabel(f"{found.part} {METRIC_NAMES[found.metric]} ({unit_of(found)})")
    if compared:
        panels[1].axvline(0, color=BASELINE_COLOUR, linewidth=0.9, zorder=1.5)
        unit = unit_of(found, difference=True)
        panels[1].set_xlabel(f"paired difference from {found.baseline} ({unit})", wrap=True)
    if len(bases) == 1:
        mean = next(row.sample.mean for row in rows if row.group.label in bases)
        panels[0].axvline(scale * mean, color=BASELINE_COLOUR, linewidth=0.9, zorder=1.5)
    for panel in panels:
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        panel.grid(axis="y", color="#EEEEEE", linewidth=0.8)
        panel.set_axisbelow(True)
    caption(figure, "small dots: seeds; large dot: mean; bar: 95 % interval of the mean")


def _dot(
    panel: Axes,
    y: int,
    values: list[float],
    mean: float,
    ends: tuple[float, float] | None,
    colour: str,
) -> None:
    if ends is not None:
        panel.plot(ends, (y, y), color=colour, linewidth=1.8, solid_capstyle="butt")
    panel.plot([mean], [y], "o", color=colour, markersize=6.5, markeredgecolor="white")
    below = [y + 0.24] * len(values)
    panel.plot(values, below, "o", color=colour, alpha=0.45, markersize=3, markeredgewidth=0)
