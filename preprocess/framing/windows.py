"""Windows of recordings: one at random for training, several evenly placed for a test.

In: durations in microseconds. Out: where windows of ``W`` microseconds start, counted from the
recording's first event. A window is half open, ``start <= t < start + W``.

**Training**: ``start`` uniform in [0, D − W) for a recording of ``D`` microseconds; 0 where the
window is at least as long as it.

**Test** (Yao et al., ICCV 2023, as their code computes it). Of events at the recording's very last
moment none is used; ``D`` is the time from the first to the last event before that moment. With
``n`` clips, ``start_j = j (W − o)``, ``o = floor((n W − D) / n)``, where ``n W > D``, so that they
overlap; else ``start_j = j (W + o)`` with ``o = floor((D − n W) / n)``. A window that reaches
beyond ``D`` starts at ``D − W`` instead, which is negative where the recording is shorter than the
window: it then has the whole recording, ``n`` times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError


@dataclass(frozen=True)
class Windows:
    """Parts of recordings that are shown.

    Attributes:
        length_us: of each, in microseconds.
        clips: evenly placed in a test.
    """

    length_us: int
    clips: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UsageError(f"{name} of windows must be at least 1, found {value}")


def random_starts(
    uniform: NDArray[np.float64], duration_us: NDArray[np.int64], length_us: int
) -> NDArray[np.int64]:
    """Return where windows of training start, ``(n,)``.

    Args:
        uniform: draws in [0, 1), ``(n,)``.
        duration_us: first to last event of each recording, ``(n,)``.
        length_us: of the windows.
    """
    room = np.maximum(np.asarray(duration_us, np.int64) - length_us, 0)
    return (uniform * room).astype(np.int64)


def clip_starts(duration_us: int, windows: Windows) -> NDArray[np.int64]:
    """Return where the clips of a test start, ``(clips,)``.

    Args:
        duration_us: ``D`` of the module's docstring.
        windows: length and number.
    """
    length, clips = windows.length_us, windows.clips
    whole = clips * length
    if whole > duration_us:
        stride = length - (whole - duration_us) // clips
    else:
        stride = length + (duration_us - whole) // clips
    starts = np.arange(clips, dtype=np.int64) * stride
    return np.where(starts + length > duration_us, duration_us - length, starts)
