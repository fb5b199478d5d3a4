"""Reliability against a count by hand and against a plain restatement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snntx.train.measure.calibration import calibration


def test_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.45, 0.55], [0.2, 0.8]])
    found = calibration(probabilities, np.array([0, 1, 1, 0]), bins=2)
    # all four lie in (0.5, 1]: mean confidence (0.9 + 0.6 + 0.55 + 0.8) / 4, half are right
    assert found.upper == [1.0]
    assert found.answers == [4]
    assert found.confidence == pytest.approx([0.7125])
    assert found.right == [0.5]
    assert found.ece == pytest.approx(0.2125)


def test_edges_belong_to_the_lower_bin() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert calibration(probabilities, np.array([0, 0]), bins=2).upper == [0.5, 1.0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 7), st.integers(1, 20))
def test_equals_the_definition(seed: int, count: int, classes: int, bins: int) -> None:
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.ones(classes), count)
    labels = draw.integers(0, classes, count)
    error = 0.0
    for low, high in zip(np.arange(bins) / bins, (np.arange(bins) + 1) / bins, strict=True):
        inside = [
            (max(row), int(np.argmax(row)) == label)
            for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True)
            if low < max(row) <= high
        ]
        if inside:
            told, right = np.mean(inside, axis=0)
            error += abs(told - right) * len(inside) / count
    found = calibration(probabilities, labels, bins)
    assert found.ece == pytest.approx(error, abs=1e-12)
    assert sum(found.answers) == count
    shares = np.array(found.right) @ np.array(found.answers) / count
    assert shares == pytest.approx(np.mean(probabilities.argmax(1) == labels))


def test_nothing_to_calibrate() -> None:
    with pytest.raises(ValueError, match="no answers"):
        calibration(np.zeros((0, 3)), np.zeros(0, np.int64))
