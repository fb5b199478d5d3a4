"""How far an accuracy would move with other recordings of the same kind: a bootstrap interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0
"""Of the draws, so that the same answers always have the same interval."""


def bootstrap_interval(
    right: NDArray[np.bool_], level: float = LEVEL, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile interval of an accuracy, recordings drawn anew with replacement.

    Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13. The number of
    right answers among ``n`` that are drawn with replacement is binomial, so it is drawn itself.
    The interval speaks of the recordings alone: another seed's training is another source.

    Args:
        right: whether each recording was classified rightly, ``(n,)``.
        level: share of resamples that lie inside.
        resamples: how many are drawn.

    Raises:
        ValueError: there is no recording.
    """
    if not right.size:
        raise ValueError("no recordings to resample")
    generator = np.random.Generator(np.random.Philox(SEED))
    drawn = generator.binomial(right.size, right.mean(), resamples) / right.size
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
