"""Slopes of the surrogates in compiled code, by the codes of :mod:`snntx.train.network.surrogates`.

In: charged membranes and the threshold. Out: the slope at their difference, in their type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import inner
from .scalars import get, like, put


@inner  # type: ignore[untyped-decorator]
def slopes(
    u: Any, at: int, count: int, threshold: Any, surrogate: int, alpha: Any, out: Any, to: int
) -> None:
    """Write the surrogate's slope at ``u - threshold`` into ``out``, by its code."""
    one, zero = np.float32(1), np.float32(0)
    if surrogate == 0:
        square = alpha * alpha
        for j in range(count):
            slope = alpha - square * abs(get(u, at + j) - threshold)
            put(out, to + j, max(slope, zero))
    elif surrogate == 1 or surrogate == 2 or surrogate == 5:
        half, high = np.float32(0.5), one
        if surrogate == 1:
            half = one / alpha
        elif surrogate == 5:
            half, high = alpha / np.float32(2), one / alpha
        for j in range(count):
            put(out, to + j, high if abs(get(u, at + j) - threshold) < half else zero)
    elif surrogate == 3:
        factor, high = like(out, np.pi / 2) * alpha, alpha / np.float32(2)
        for j in range(count):
            scaled = (get(u, at + j) - threshold) * factor
            put(out, to + j, high / (one + scaled * scaled))
    else:
        for j in range(count):
            half = one / (one + np.exp(-alpha * (get(u, at + j) - threshold)))
            put(out, to + j, alpha * half * (one - half))
