"""How far a classifier's confidence can be believed: reliability and its expected error.

Guo et al., *On Calibration of Modern Neural Networks* (ICML 2017), equation 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Of equal width from 0 to 1, as in that paper."""


@dataclass(frozen=True)
class Calibration:
    """Reliability over bins of confidence; the bins without an answer are left out.

    Attributes:
        ece: expected calibration error, from 0 to 1: the mean distance between a bin's confidence
            and its share of right answers, weighted by its answers.
        upper: the largest confidence of each bin.
        answers: how many lie in it.
        confidence: their mean confidence.
        right: share of them that is right.
    """

    ece: float
    upper: list[float]
    answers: list[int]
    confidence: list[float]
    right: list[float]


def calibration(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = BINS
) -> Calibration:
    """Compare the confidence of answers with how often they are right.

    An answer is the class of highest probability (the first of several), and its probability is
    its confidence. A bin holds what lies above its lower and up to its upper edge.

    Args:
        probabilities: of each class, ``(n, C)``; a row sums to 1.
        labels: class indices ``(n,)``.
        bins: of equal width.

    Raises:
        ValueError: there is no answer.
    """
    if not len(labels):
        raise ValueError("no answers to calibrate")
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    answers = np.bincount(place, minlength=bins)
    used = answers > 0
    told = np.bincount(place, confidence, bins)[used] / answers[used]
    kept = np.bincount(place, right, bins)[used] / answers[used]
    return Calibration(
        ece=float(np.abs(told - kept) @ answers[used] / len(labels)),
        upper=((np.flatnonzero(used) + 1) / bins).tolist(),
        answers=answers[used].tolist(),
        confidence=told.tolist(),
        right=kept.tolist(),
    )
