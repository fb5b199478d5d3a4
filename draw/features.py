"""The plane of both branches' features, drawn twice: by domain, and by class.

In: an embedding. Out: a PNG. Domains differ in colour and in the form of their points; classes, of
which there may be a hundred, in colour, and each has its number amid its points of either branch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import plain
from .style import DPI, GREY, INK, OFF_COLOUR, ON_COLOUR, STYLE, need_matplotlib, write_picture

if TYPE_CHECKING:
    from ..train.insight.embedding import Embedding

NAMED = 12
"""Classes up to which a legend has their names; of more, numbers stand in the picture alone."""
FORMS = {"static": "s", "event": "o"}
BOX = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.8}
"""Behind numbers."""


def draw_features(found: Embedding, path: Path) -> None:
    """Draw an embedding and write it as PNG.

    Args:
        found: points of both branches.
        path: the PNG to write.

    Raises:
        UsageError: matplotlib is not installed.
        SnntxError: the file cannot be written.
    """
    need_matplotlib("--features")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(10.4, 5.0), dpi=DPI, layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, points, colour in (
            ("static", found.static, OFF_COLOUR),
            ("event", found.event, ON_COLOUR),
        ):
            left.scatter(*points.T, s=10, c=colour, marker=FORMS[name], linewidths=0, label=name)
        for near, far in zip(found.static, found.event, strict=True):
            left.plot(*np.array([near, far]).T, color=GREY, alpha=0.15, linewidth=0.5, zorder=0)
        left.legend(frameon=False, fontsize=7.5, title="branch; a line joins twins")
        left.set_title("by domain", fontsize=9, color=INK)
        _classes(right, found)
        for panel in (left, right):
            panel.set(xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
        count, numbers = len(found.labels), f"perplexity {found.perplexity:g}"
        title = f"{found.checkpoint}: {count:,} twins of part {found.part}, {numbers}"
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=10, color=INK)
        write_picture(path, lambda file: figure.savefig(file))


def _classes(panel: Any, found: Embedding) -> None:
    from matplotlib import colormaps

    present = np.unique(found.labels).tolist()
    shades = colormaps["viridis"](np.linspace(0, 0.95, len(present)))
    for label, shade in zip(present, shades, strict=True):
        members = found.labels == label
        name = plain(found.classes[label])
        for branch in ("static", "event"):
            points = getattr(found, branch)[members]
            told = f"{label}: {name}" if branch == "event" else None
            look = {"s": 10, "color": shade, "marker": FORMS[branch], "linewidths": 0}
            panel.scatter(*points.T, label=told, **look)
            middle = np.median(points, 0)
            panel.text(
                *middle, str(label), fontsize=7, color=INK, ha="center", va="center", bbox=BOX
            )
    panel.set_title("by class (square: static, dot: event)", fontsize=9, color=INK)
    if len(present) <= NAMED:
        panel.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
