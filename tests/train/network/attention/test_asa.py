"""The attention module: its independence of the batch, its gradients, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.attention.asa import ASA
from snntx.train.network.attention.options import Attention

SIDES = st.integers(1, 4)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(steps: int = 4, channels: int = 6, **options: Any) -> ASA:
    torch.manual_seed(1)
    return ASA(steps, channels, **options).double()


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(SIDES, st.integers(2, 4), SIDES, SIDES, SIDES),
    st.sampled_from(["per-sample", "trainable"]),
    st.sampled_from(["xor", "and", "or"]),
    st.sampled_from([0.25, 0.5, 0.9]),
    st.integers(0, 99),
)
def test_no_answer_depends_on_the_batchs_other_samples(
    shape: tuple[int, ...], mode: str, combine: str, lam: float, seed: int
) -> None:
    attention = made(shape[0], shape[2], mode=mode, combine=combine, lam=lam)
    maps, gradient = (random(*shape, seed=seed + offset) for offset in (0, 100))
    maps = torch.where(maps < 0, 0, maps)  # zeros, so that there are ties
    together = maps.clone().requires_grad_()
    out = attention(together)
    out.backward(gradient)
    assert together.grad is not None
    for sample in range(shape[1]):
        alone = maps[:, sample : sample + 1].clone().requires_grad_()
        single = attention(alone)
        single.backward(gradient[:, sample : sample + 1])
        torch.testing.assert_close(single[:, 0], out[:, sample], rtol=0, atol=1e-12)
        assert alone.grad is not None
        torch.testing.assert_close(alone.grad[:, 0], together.grad[:, sample], rtol=0, atol=1e-12)


def test_the_references_answer_does_depend_on_them() -> None:
    attention, maps = made(mode="reference"), random(4, 2, 6, 3, 3)
    assert not torch.allclose(attention(maps)[:, :1], attention(maps[:, :1]))


@pytest.mark.parametrize("mode", ["per-sample", "trainable", "reference"])
@pytest.mark.parametrize("shape", [(1, 2, 3, 4, 4), (4, 1, 3, 4, 4), (4, 2, 1, 4, 4), (1,) * 5])
def test_one_step_one_sample_or_one_channel_is_no_trouble(mode: str, shape: Any) -> None:
    maps = random(*shape).requires_grad_()
    attention = made(shape[0], shape[2], mode=mode)
    out = attention(maps)
    out.sum().backward()
    assert out.shape == maps.shape
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_every_map_is_multiplied_with_one_of_two() -> None:
    attention, maps = made(), random(4, 2, 6, 3, 3)
    ratio = attention(maps) / maps
    counts = attention.important(maps).bool()
    for sample in range(2):
        for which in (counts[:, sample], ~counts[:, sample]):
            chosen = ratio[:, sample][which]
            assert len(chosen) > 1
            torch.testing.assert_close(chosen, chosen[:1].expand_as(chosen))


@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize("mode", ["per-sample", "trainable", "reference"])
def test_the_scoring_learns_only_where_it_is_trainable(mode: str, reduction: int) -> None:
    attention = made(mode=mode, reduction=reduction)
    attention(random(4, 2, 6, 3, 3)).square().sum().backward()
    learns = {
        name: bool(each.grad is not None and each.grad.any())
        for name, each in attention.named_parameters()
    }
    scoring = {name: each for name, each in learns.items() if not name.startswith("conv")}
    assert learns["conv1.weight"]
    assert learns["conv2.weight"]
    assert set(scoring.values()) == {mode == "trainable"}


@pytest.mark.parametrize("combine", ["xor", "and", "or"])
def test_training_the_scores_lowers_a_loss_that_depends_on_them_alone(combine: str) -> None:
    attention = made(mode="trainable", combine=combine)
    maps = random(4, 3, 6, 3, 3)
    chosen = torch.zeros(6, dtype=torch.float64)
    chosen[:3] = 1
    scoring = [attention.alpha, attention.beta, *attention.fc.parameters()]
    optimizer = torch.optim.SGD(scoring, lr=0.5)
    maps = maps + chosen[:, None, None] * 2

    def loss() -> Tensor:
        return (attention.important(maps) - chosen).square().mean()

    before = loss().item()
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss().item() < before


def test_the_gradient_of_a_maximum_goes_to_the_first_that_reaches_it() -> None:
    attention = made(2, 2, lam=0.5)
    maps = torch.ones(2, 1, 2, 1, 1, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        for conv in (attention.conv1, attention.conv2):
            conv.weight.zero_()
            conv.weight[0, 1, 1, 1] = 1  # the maximum alone
    counts = attention.important(maps)[:, 0]
    attention(maps).sum().backward()
    assert maps.grad is not None
    half = torch.sigmoid(torch.tensor(1.0, dtype=torch.float64))
    wanted = torch.full((2, 2), half.item(), dtype=torch.float64)
    for part in (counts, 1 - counts):
        if part.any():
            first = int((part.flatten() == 1).nonzero()[0])
            wanted.view(-1)[first] += part.sum() * half * (1 - half)
    torch.testing.assert_close(maps.grad[:, 0, :, 0, 0], wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_maps_are_attended_in_float32(dtype: torch.dtype) -> None:
    attention, maps = made().float(), random(4, 2, 6, 3, 3).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(maps)
    assert found.dtype == dtype
    torch.testing.assert_close(found, attention(maps.float()).to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "refrence"}, "unknown attention_mode 'refrence', known: .* 'reference'"),
        ({"combine": "nor"}, "unknown attention_combine 'nor', known: xor, and, or"),
        ({"lam": 0.0}, "attention_lam is 0.0, expected a share above 0 and below 1"),
        ({"lam": 1.0}, "attention_lam is 1.0"),
        ({"reduction": 0}, "attention_reduction is 0, expected an integer of 1 or more"),
        (
            {"mode": "reference", "combine": "or"},
            "attention_mode reference combines its masks by xor, not by or",
        ),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    for maker in (lambda **given: ASA(4, 6, **given), Attention):
        with pytest.raises(UsageError, match=message):
            maker(**options)


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown attention_place 'neurons', known: .* 'neuron'"):
        Attention(place="neurons")


def test_a_reduction_to_nothing_is_refused_and_its_advice_holds() -> None:
    with pytest.raises(UsageError, match=r"reduction 5 leaves nothing of 4 .*; use .* 4 or less"):
        ASA(4, 6, reduction=5)
    assert ASA(4, 6, reduction=4)(torch.ones(4, 1, 6, 2, 2)).shape == (4, 1, 6, 2, 2)


def test_maps_of_another_length_or_width_are_refused() -> None:
    for shape in ((3, 1, 6, 2, 2), (4, 1, 5, 2, 2), (4, 1, 6)):
        found = "x".join(map(str, shape))
        with pytest.raises(UsageError, match=rf"maps are {found}, expected 4xBx6xHxW"):
            ASA(4, 6)(torch.zeros(shape))
