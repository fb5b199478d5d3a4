"""Votes of clips by hand, and against the mean of their logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snntx.train.measure.metrics import measure
from snntx.train.measure.votes import Votes, majority, right_clips, votes_of


def clips(*answers: int, classes: int = 3, sure: float = 1.0) -> torch.Tensor:
    """Return logits ``(1, clips, C)`` of clips that answer so."""
    return torch.eye(classes)[list(answers)][None] * sure


@pytest.mark.parametrize(
    ("right", "of", "won"),
    [(5, 10, False), (6, 10, True), (4, 10, False), (1, 1, True), (0, 1, False), (1, 2, False),
     (2, 3, True), (1, 3, False)],
)  # fmt: skip
def test_more_than_half_must_be_right(right: int, of: int, won: bool) -> None:
    assert majority(torch.arange(of)[None] < right).tolist() == [won]


def test_the_true_class_needs_a_majority_and_not_only_the_most_votes() -> None:
    """Four of ten clips are right, more than any other class has: the recording is wrong."""
    logits = clips(0, 0, 0, 0, 1, 1, 1, 2, 2, 2)
    assert votes_of(logits, np.array([0])) == Votes(10, 0.0, 0.4)
    assert measure(logits.mean(1), np.array([0]), list("abc")).top1 == 1.0


def test_one_sure_clip_outvotes_in_the_mean_alone() -> None:
    logits = torch.cat([clips(0, 0), clips(1, sure=9.0)], 1)
    assert votes_of(logits, np.array([0])) == Votes(3, 1.0, 2 / 3)
    assert measure(logits.mean(1), np.array([0]), list("abc")).top1 == 0.0


def test_equal_logits_are_the_first_class() -> None:
    silent = torch.zeros(2, 3, 4)
    assert right_clips(silent, np.array([0, 1])).tolist() == [[True] * 3, [False] * 3]
    assert votes_of(silent, np.array([0, 1])) == Votes(3, 0.5, 0.5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(2, 5))
def test_votes_by_a_count(seed: int, count: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.integers(0, 3, (6, count, classes)), rng.integers(0, classes, 6)
    found = votes_of(torch.from_numpy(logits).float(), labels)
    right = [[row.tolist().index(row.max()) == label for row in each]
             for each, label in zip(logits, labels, strict=True)]  # fmt: skip
    assert found.top1 == pytest.approx(np.mean([sum(each) > count / 2 for each in right]))
    assert found.clip_top1 == pytest.approx(np.mean(right))
    if count == 1:
        assert (
            found.top1
            == measure(torch.from_numpy(logits[:, 0]).float(), labels, list("abcde")[:classes]).top1
        )
