"""The bootstrap interval against scipy's, which resamples the recordings themselves."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from snntx.train.measure.interval import bootstrap_interval


@pytest.mark.parametrize(("count", "share"), [(40, 0.5), (151, 0.78), (450, 0.95)])
def test_equals_resampling(count: int, share: float) -> None:
    right = np.arange(count) < round(share * count)
    theirs = bootstrap(
        (right.astype(float),),
        np.mean,
        method="percentile",
        n_resamples=10_000,
        batch=1_000,
        random_state=1,
    ).confidence_interval
    low, high = bootstrap_interval(right)
    assert low == pytest.approx(theirs.low, abs=1.5 / count)
    assert high == pytest.approx(theirs.high, abs=1.5 / count)
    assert low < right.mean() < high


@pytest.mark.parametrize("value", [True, False])
def test_where_all_are_alike(value: bool) -> None:
    assert bootstrap_interval(np.full(9, value)) == (float(value), float(value))


def test_the_same_answers_have_the_same_interval() -> None:
    right = np.arange(30) % 3 == 0
    assert bootstrap_interval(right) == bootstrap_interval(right)


def test_no_recordings() -> None:
    with pytest.raises(ValueError, match="no recordings"):
        bootstrap_interval(np.zeros(0, np.bool_))
