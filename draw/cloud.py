"""A recording as a cloud of points in x, y and time, beside its static twin.

From an event cache every point is an event, at its time in ms; from a frame cache, which has no
times, a pixel of a frame in which events were counted, at its time step. OFF is orange, ON blue.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import plain
from ..preprocess.cache.contents import SealedCache
from ..preprocess.cache.events.event_cache import EventCache
from .style import DPI, GREY, INK, OFF_COLOUR, ON_COLOUR, STYLE, need_matplotlib, write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 20_000
"""Points that are drawn; of more, as many evenly spaced in order of time."""


class Points(NamedTuple):
    """Points of a cloud, in order of time, each array ``(N,)``.

    Attributes:
        x: column in pixels.
        y: row in pixels from the top.
        t: time, in ``unit``.
        on: whether the polarity is ON.
        unit: ``time (ms)`` or ``time step``.
        what: what a point is, in the plural.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    t: NDArray[np.float64]
    on: NDArray[np.bool_]
    unit: str
    what: str


def points_of(cache: SealedCache, i: int) -> Points:
    """Return the points of recording ``i``.

    Raises:
        SnntxError: its bytes do not match their checksum.
    """
    if isinstance(cache, EventCache):
        events = cache.events(i)
        t = (events.t - events.t[:1]) / 1000
        x, y = events.x.astype(np.float64), events.y.astype(np.float64)
        return Points(x, y, t, events.p > 0, "time (ms)", "events")
    step, polarity, row, column = np.nonzero(cache.frames(i))
    order = np.argsort(step, kind="stable")
    x, y, t = (each[order].astype(np.float64) for each in (column, row, step + 1))
    on = polarity[order] == cache.frame_shape[1] - 1  # merged polarities are drawn as one
    return Points(x, y, t, on, "time step", "pixels of frames")


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """Return at most ``most`` points, evenly spaced in order, the first and the last included."""
    if points.t.size <= most:
        return points
    kept = np.linspace(0, points.t.size - 1, most).round().astype(np.intp)
    columns = (points.x[kept], points.y[kept], points.t[kept], points.on[kept])
    return Points(*columns, points.unit, points.what)


def draw_cloud(
    points: Points, twin: NDArray[np.floating] | None, *, title: str, path: Path
) -> None:
    """Draw a cloud and write it as PNG.

    Args:
        points: of one recording.
        twin: brightness ``(H, W)`` in [0, 1] of its static twin; None for none.
        title: above the picture.
        path: the PNG to write.

    Raises:
        UsageError: matplotlib is not installed.
        SnntxError: the file cannot be written.
    """
    need_matplotlib("a cloud")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(8.4 if twin is not None else 5.8, 4.8), dpi=DPI)
        if twin is not None:
            beside = figure.add_axes((0.06, 0.2, 0.26, 0.56))
            beside.imshow(twin, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            beside.set(xlabel="x (pixels)", ylabel="y (pixels)")
            beside.set_title("static twin", fontsize=9, color=INK)
        _cloud(figure, points, 0.33 if twin is not None else 0.02)
        figure.text(0.02, 0.94, plain(title), fontsize=11, color=INK)
        write_picture(path, lambda file: figure.savefig(file))


def _cloud(figure: Figure, points: Points, left: float) -> None:
    """Draw the cloud right of ``left``, a share of the figure's width."""
    from mpl_toolkits.mplot3d.axes3d import Axes3D

    space = figure.add_axes(Axes3D(figure, (left, 0.04, 0.93 - left, 0.84)))
    assert isinstance(space, Axes3D)
    shown = thinned(points)
    for name, which, colour in (("OFF", ~shown.on, OFF_COLOUR), ("ON", shown.on, ON_COLOUR)):
        if which.any():
            across, up = shown.x[which], shown.y[which]
            space.scatter(shown.t[which], across, up, s=2, color=colour, label=name, linewidths=0)
    space.invert_zaxis()  # rows count from the top
    space.set(xlabel=points.unit, ylabel="x (pixels)", zlabel="y (pixels)")
    space.set_box_aspect((1.6, 1, 1), zoom=1.05)
    space.locator_params(axis="y", nbins=4)
    space.locator_params(axis="z", nbins=5)
    space.view_init(elev=18, azim=-58)
    if shown.t.size:
        space.legend(loc="upper right", frameon=False, markerscale=4)
    number = f"{points.t.size:,} {points.what}"
    if shown.t.size < points.t.size:
        number = f"{shown.t.size:,} of {number}"
    figure.text(0.02, 0.03, number, fontsize=8, color=GREY)
