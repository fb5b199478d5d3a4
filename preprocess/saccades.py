"""How an image moves in front of a simulated sensor: three saccades that close a triangle.

Orchard et al. (2015) moved a camera so in front of a screen to record N-MNIST. In: times in
microseconds. Out: displacements in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class SaccadePath:
    """Three straight motions of equal duration around an isosceles triangle.

    Corners ``(x, y)``: ``(0, 0)``, ``(base_px / 2, height_px)``, ``(base_px, 0)``, y downwards.

    Attributes:
        base_px: length of the third motion, right to left.
        height_px: how far the first motion goes down and the second back up.
        saccade_us: duration of each motion.
    """

    base_px: float = 6.0
    height_px: float = 6.0
    saccade_us: int = 100_000

    @property
    def duration_us(self) -> int:
        """Duration of all three motions."""
        return 3 * self.saccade_us

    def at(self, times_us: ArrayLike) -> tuple[Float64Array, Float64Array]:
        """Displacement ``(x_px, y_px)``, each ``(K,)``, at ``times_us (K,)``.

        Between two corners the motion has minimum jerk (Flash and Hogan, 1985): the share
        of the way gone at ``u`` in [0, 1] of its duration is ``10 u^3 - 15 u^4 + 6 u^5``.
        """
        corners_x = np.array([0.0, self.base_px / 2, self.base_px, 0.0])
        corners_y = np.array([0.0, self.height_px, 0.0, 0.0])
        phase = np.asarray(times_us, np.float64) / self.saccade_us
        leg = np.clip(phase.astype(np.intp), 0, 2)
        u = np.clip(phase - leg, 0.0, 1.0)
        share = u * u * u * (10.0 - 15.0 * u + 6.0 * u * u)
        x_px = corners_x[leg] + np.diff(corners_x)[leg] * share
        return x_px, corners_y[leg] + np.diff(corners_y)[leg] * share
