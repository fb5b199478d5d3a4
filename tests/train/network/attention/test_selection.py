"""Which maps count."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snntx.train.network.attention.selection import combined, important, largest

MASKS = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 0, 1])


def test_the_largest_scores_are_marked() -> None:
    scores = torch.tensor([[3.0, -1.0, 2.0, 0.5], [0.0, 1.0, 2.0, 3.0]])
    assert largest(scores, 2, 1).tolist() == [[1, 0, 1, 0], [0, 0, 1, 1]]
    assert largest(scores, 1, 0).tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]


def test_none_is_marked_where_the_count_is_none() -> None:
    scores = torch.ones(3, requires_grad=True)
    assert not largest(scores, 0, 0, soft=True).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=2, max_size=40), st.data())
def test_of_equal_scores_the_lowest_index_is_marked(values: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(values) - 1))
    ranked = sorted(range(len(values)), key=lambda place: (-values[place], place))
    wanted = [float(place in ranked[:count]) for place in range(len(values))]
    scores = torch.tensor(values, dtype=torch.float32)
    assert largest(scores, count, 0).tolist() == wanted
    soft = largest(scores.requires_grad_(), count, 0, soft=True)
    assert soft.tolist() == wanted


@pytest.mark.parametrize(
    ("combine", "wanted"), [("xor", [0, 1, 1, 0]), ("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1])]
)
def test_masks_are_combined(combine: str, wanted: list[int]) -> None:
    assert combined(*MASKS, combine).tolist() == wanted


def test_the_soft_selection_has_the_slope_of_a_sigmoid_about_the_threshold() -> None:
    scores = torch.tensor([3.0, 1.0, 0.0, -4.0], requires_grad=True)
    largest(scores, 2, 0, soft=True)[0].backward()  # type: ignore[no-untyped-call]
    half = torch.sigmoid(torch.tensor(3.0 - 0.5))
    slope = half * (1 - half)  # and its threshold lies between the second and the third
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, slope * torch.tensor([1.0, -0.5, -0.5, 0.0]))


def test_raising_all_scores_alike_changes_nothing() -> None:
    scores = torch.randn(6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.arange(6.0)
    (largest(scores, 3, 0, soft=True) * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.any()
    assert scores.grad.sum().abs() < 1e-6


def test_the_reference_unites_a_batch_before_it_combines() -> None:
    first = torch.tensor([[4.0, 3, 2, 1], [8.0, 7, 6, 5]])  # (T, C) of a sample
    scores = torch.stack([first, first.flip(1)], 1)
    own = important(scores, lam=0.5, mode="per-sample", combine="xor")
    united = important(scores, lam=0.5, mode="reference", combine="xor")
    assert own[:, 0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert own[:, 1].tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]
    for sample in range(2):  # each channel is among the first two of one of the samples
        assert united[:, sample].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert torch.equal(
        important(scores[:, :1], lam=0.5, mode="reference", combine="xor"), own[:, :1]
    )
