"""Mean and spread over seeds, and paired differences from a baseline.

Two groups are compared on the seeds they share, since a seed fixes what both have in common:
initial weights, order of the recordings, partners. Of the differences ``d_i`` of ``n`` seeds,
with mean ``m`` and standard deviation ``s`` (``n - 1`` in the denominator)::

    t = m / (s / sqrt(n))        p = 2 P(T_{n-1} > |t|)        m ± t_{0.975, n-1} s / sqrt(n)

The sign-flip test asks how many of the ``2^n`` ways to give the differences their signs make
``|m|`` at least as large; it assumes no normal distribution, but its p cannot be below
``2 / 2^n``. Holm's step-down bounds the chance of one false alarm among all comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

COVERAGE = 0.95
EXACT_SEEDS = 20
"""With more seeds the signs are too many to try; the t test serves as well then."""


@dataclass(frozen=True)
class Sample:
    """Mean of some values, what they spread, and the interval that covers their true mean.

    Attributes:
        n: how many.
        mean: of them.
        sd: standard deviation with ``n - 1`` in the denominator; None for one value.
        low: lower end of the 95 % t interval of the mean; None for one value, or equal ones.
        high: its upper end.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """A group's difference from its baseline on the seeds they share.

    Attributes:
        differences: group minus baseline, by seed.
        sample: mean, spread and interval of them.
        t: Student's t; None for one seed, or equal differences.
        p: of the paired t test, two-sided; None likewise.
        p_sign_flip: of the exact sign-flip test, two-sided; None with too many seeds.
        p_holm: ``p`` after Holm's correction over all comparisons; None where ``p`` is.
    """

    differences: dict[int, float]
    sample: Sample
    t: float | None
    p: float | None
    p_sign_flip: float | None
    p_holm: float | None = None


def sample_of(values: Sequence[float]) -> Sample:
    """Return mean, standard deviation and 95 % t interval of the mean."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if array.size < 2:
        return Sample(array.size, mean, None, None, None)
    if _equal(array):
        return Sample(array.size, mean, 0.0, None, None)
    sd = float(array.std(ddof=1))
    reach = float(stdtrit(array.size - 1, (1 + COVERAGE) / 2)) * sd / math.sqrt(array.size)
    return Sample(array.size, mean, sd, mean - reach, mean + reach)


def _equal(array: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Whether values differ by no more than rounding."""
    return bool(np.ptp(array) <= 1e-12 * np.abs(array).max())


def paired_test(group: Mapping[int, float], baseline: Mapping[int, float]) -> Paired | None:
    """Compare values by seed; None where no seed is shared."""
    differences = {seed: group[seed] - baseline[seed] for seed in group if seed in baseline}
    if not differences:
        return None
    values = list(differences.values())
    sample = sample_of(values)
    t = p = None
    if sample.sd:
        t = sample.mean / (sample.sd / math.sqrt(sample.n))
        p = float(2 * stdtr(sample.n - 1, -abs(t)))
    return Paired(differences, sample, t, p, sign_flip(values))


def sign_flip(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of the exact sign-flip test; None for too many values.

    Of all ``2^n`` choices of signs, the share whose sum is at least as far from zero.
    """
    if len(differences) > EXACT_SEEDS:
        return None
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate([sums + value, sums - value])
    limit = abs(sum(differences)) - 1e-12 * sum(map(abs, differences))
    return float(np.mean(np.abs(sums) >= limit))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p values; one that is None counts as 1 and stays None."""
    counted = [1.0 if p is None else p for p in ps]
    adjusted = list(counted)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=counted.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * counted[i]))
        adjusted[i] = largest
    return [None if p is None else value for p, value in zip(ps, adjusted, strict=True)]
