"""The file of a landscape: JSON, ``format``, ``settings`` and ``points``.

A point is ``"i"`` or ``"i,j"``, its places on the axes, with ``[loss, top1]``. Points stand in the
order of the grid, so a file's bytes do not depend on the order in which they were computed.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SnntxError, UsageError
from ..assess.elsewhere import Part

FORMAT = "snntx landscape 1"
Point = tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """What decides a landscape's values.

    Attributes:
        points: on each axis.
        low: least coordinate; 1 is a move as long as the weights themselves, filter by filter.
        high: greatest.
        two: whether there are two directions.
        part: of the run's protocol.
        recordings: that are shown at each point; of more, so many are drawn.
        seed: of the directions and of the drawn recordings.
        norm_directions: whether the norms' parameters move too.
        norm_statistics: ``kept``, or ``recompute`` for batches of training at every point.
    """

    points: int = 21
    low: float = -1.0
    high: float = 1.0
    two: bool = False
    part: Part = "test"
    recordings: int = 256
    seed: int = 0
    norm_directions: bool = False
    norm_statistics: str = "kept"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError(f"--range {self.low} {self.high}: expected the least one first")

    @property
    def axis(self) -> list[float]:
        """The coordinates; 0 is exact where it is one of them."""
        n = self.points - 1
        return [(self.low * (n - i) + self.high * i) / n for i in range(self.points)]

    @property
    def grid(self) -> list[Point]:
        """The points, in the order in which they are computed."""
        return list(itertools.product(range(self.points), repeat=2 if self.two else 1))


@dataclass(frozen=True)
class Landscape:
    """A landscape.

    Attributes:
        settings: as in the file: what was asked, and of which weights and cache.
        axis: coordinates ``(P,)``.
        loss: mean cross-entropy of the mean logits, ``(P,)`` or ``(P, P)``, first direction first.
        top1: accuracy, same shape.
    """

    settings: dict[str, Any]
    axis: NDArray[np.float64]
    loss: NDArray[np.float64]
    top1: NDArray[np.float64]


def text_of(settings: dict[str, Any], done: dict[Point, tuple[float, float]]) -> str:
    """Return the file's text."""
    points = {",".join(map(str, at)): list(done[at]) for at in sorted(done)}
    return json.dumps({"format": FORMAT, "settings": settings, "points": points}, indent=1) + "\n"


def _content(path: Path) -> tuple[dict[str, Any], dict[Point, tuple[float, float]]]:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        if whole["format"] != FORMAT:
            raise ValueError(f"format is {whole['format']!r}, expected '{FORMAT}'")
        points = {
            tuple(map(int, name.split(","))): (float(loss), float(top1))
            for name, (loss, top1) in whole["points"].items()
        }
        return dict(whole["settings"]), points
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnntxError(
            f"{path}: is no landscape: {error or type(error).__name__}; give another --out"
        ) from error


def read_points(
    path: Path, settings: dict[str, Any], grid: set[Point]
) -> dict[Point, tuple[float, float]]:
    """Return what a file of these settings holds already; nothing where there is none.

    Raises:
        UsageError: it is of other settings; names them.
        SnntxError: it is damaged.
    """
    if not path.exists():
        return {}
    theirs, points = _content(path)
    names = [name for name in settings if theirs.get(name) != settings[name]]
    if names:
        told = ", ".join(f"{n} = {theirs.get(n)} (not {settings[n]})" for n in names)
        raise UsageError(f"{path}: is a landscape of {told}; give the same, or another --out")
    if not points.keys() <= grid:
        raise SnntxError(f"{path}: has points that are not on its grid; give another --out")
    return points


def read_landscape(path: Path) -> Landscape:
    """Return a landscape; points that are not computed yet are NaN.

    Raises:
        SnntxError: the file is none, or cannot be read.
    """
    try:
        settings, points = _content(path)
    except OSError as error:
        raise SnntxError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        asked = Asked(**{name: settings[name] for name in Asked.__dataclass_fields__})
        if not points.keys() <= set(asked.grid):
            raise ValueError("a point is not on the grid")
    except (LookupError, TypeError, ValueError, UsageError) as error:
        raise SnntxError(
            f"{path}: is no whole landscape: its settings and points do not fit: {error}"
        ) from error
    values = np.full((2, *[asked.points] * (2 if asked.two else 1)), np.nan)
    for at, value in points.items():
        values[0][at], values[1][at] = value
    return Landscape(settings, np.array(asked.axis), values[0], values[1])
