"""A loss landscape, drawn: lines along one direction, contours and a surface over two.

In: a landscape. Out: a PNG, or its bytes. The colours are cividis, read with and without colour
vision; loss is drawn where it was computed alone.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError, plain
from .style import DPI, GREY, INK, OFF_COLOUR, ON_COLOUR, STYLE, need_matplotlib, write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..train.insight.landscape_file import Landscape

MAP = "cividis"
LEVELS = 14


def draw_landscape(found: Landscape, path: Path) -> None:
    """Draw a landscape and write it as PNG, whole or not at all.

    Raises:
        UsageError: matplotlib is not installed, or too few points are computed.
        SnntxError: the file cannot be written.
    """
    picture = landscape_png(found)
    write_picture(path, lambda file: file.write_bytes(picture))


def landscape_png(found: Landscape) -> bytes:
    """Return the picture as PNG bytes; errors as those of :func:`draw_landscape`."""
    need_matplotlib("a picture of a landscape")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    finite = np.isfinite(found.loss)
    drawable = finite.sum() > 1
    if found.loss.ndim == 2:
        drawable = finite.any(0).sum() > 1 and finite.any(1).sum() > 1
    if not drawable:
        raise UsageError(
            f"{int(finite.sum())} of {found.loss.size} points are computed and finite, too few to "
            "draw; run the same command again to go on"
        )
    with rc_context(STYLE):
        wide = (6.4, 3.6) if found.loss.ndim == 1 else (9.6, 4.2)
        figure = Figure(figsize=wide, dpi=DPI, layout="constrained")
        (_lines if found.loss.ndim == 1 else _surface)(figure, found)
        told = found.settings
        title = (
            f"{told['card']}: {told['recordings']:,} {told['part']} recordings, "
            f"running statistics {'kept' if told['norm_statistics'] == 'kept' else 'made anew'}"
        )
        missing = int((~finite).sum())
        title += f"; {missing} of {finite.size} points missing or not finite" if missing else ""
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=9.5, color=INK)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def _lines(figure: Figure, found: Landscape) -> None:
    panel = figure.subplots()
    look: dict[str, Any] = {"marker": "o", "markersize": 3}
    panel.plot(found.axis, found.loss, color=ON_COLOUR, label="loss", **look)
    panel.set(xlabel="along the direction (1: as long as the weights)", ylabel="loss (nats)")
    panel.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    other = panel.twinx()
    other.plot(found.axis, found.top1, color=OFF_COLOUR, linestyle="--", label="top-1", **look)
    other.set(ylabel="top-1 (share right)", ylim=(-0.02, 1.02))
    lines = [*panel.get_lines()[:1], *other.get_lines()]
    panel.legend(lines, ["loss", "top-1"], fontsize=8, frameon=False)


def _surface(figure: Figure, found: Landscape) -> None:
    values = np.ma.masked_invalid(found.loss.T)  # the first direction goes right
    names = {"xlabel": "first direction", "ylabel": "second direction"}
    flat = figure.add_subplot(1, 2, 1)
    drawn = flat.contourf(found.axis, found.axis, values, LEVELS, cmap=MAP)
    levels = list(drawn.levels)
    middle = (levels[0] + levels[-1]) / 2  # the map is dark below and pale above
    inks = ["white" if level < middle else "black" for level in levels]
    lines = flat.contour(found.axis, found.axis, values, levels, colors=inks, linewidths=0.5)
    flat.clabel(lines, fontsize=6)
    flat.locator_params(nbins=5)
    flat.plot(0, 0, marker="+", color="white", markersize=9)
    flat.set(**names, aspect="equal", title="loss (nats); +: the run's weights")
    figure.colorbar(drawn, ax=flat, pad=0.02).set_label("loss (nats)", fontsize=7.5)
    deep: Any = figure.add_subplot(1, 2, 2, projection="3d")
    across, along = np.meshgrid(found.axis, found.axis)
    deep.plot_surface(across, along, values.filled(np.nan), cmap=MAP, linewidth=0)
    deep.set(**names, zlabel="loss (nats)")
