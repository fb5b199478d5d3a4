"""CKA between the branches, restated plainly in float64, and what it has to be on chosen data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from snntx.train.insight.alignment import (
    FEATURE,
    LOGITS,
    Twins,
    biased_cka,
    compare_branches,
    gram,
    unbiased_hsic,
)
from snntx.train.method.losses import linear_cka
from snntx.train.network.create import create_model
from snntx.train.network.layers import LayerOutput
from snntx.train.network.model import TransferModel

STEPS = 3


def plain_cka(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Kornblith et al. (2019), equation 3, with the centring matrix written out."""
    n = len(x)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, other = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return float(np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other)))


def plain_hsic(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Song et al. (2012): the mean over all choices of four samples, i, j, q, r, all different."""
    k, other = x @ x.T, y @ y.T
    total, count = 0.0, 0
    for i, j, q, r in itertools.permutations(range(len(x)), 4):
        total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
        count += 1
    return total / count


def drawn(seed: int, samples: int = 7, wide: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(STEPS, samples, wide, generator=generator, dtype=torch.float64)


def test_the_biased_one_is_the_losss_and_the_papers() -> None:
    x = drawn(1)
    y = x @ drawn(2, 5, 4)[0] + 0.7 * drawn(3, wide=4) + 100  # a large mean
    found = biased_cka(gram(x), gram(y))
    torch.testing.assert_close(found, linear_cka(x, y), rtol=1e-10, atol=0)
    expected = [plain_cka(a.numpy(), b.numpy()) for a, b in zip(x, y, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)  # the loss's small term


def test_the_unbiased_one_is_a_mean_over_all_choices_of_four() -> None:
    x, y = drawn(4), drawn(5, wide=3) + drawn(4)[..., :3] - 7
    found = unbiased_hsic(gram(x), gram(y))
    expected = [plain_hsic(a.numpy(), b.numpy()) for a, b in zip(x, y, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-10)


def test_it_is_unbiased_where_the_other_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2000, 8, 20, generator=generator) for _ in range(2))
    pairs = (gram(x), gram(y))
    assert float(biased_cka(*pairs).mean()) > 0.5
    spread = float(unbiased_hsic(*pairs).std()) / 2000**0.5
    assert abs(float(unbiased_hsic(*pairs).mean())) < 4 * spread


# of networks


class Recorded:
    """What layers send, kept whole: static and event."""

    def __init__(self, model: TransferModel) -> None:
        self.sent: dict[str, list[Tensor]] = {}
        for name, layer in model.named_modules():
            if hasattr(layer, "currents"):

                def keep(_: object, __: object, output: LayerOutput, name: str = name) -> None:
                    self.sent.setdefault(name, []).append(output.spikes.double().flatten(2))

                layer.register_forward_hook(keep)


def network(name: str = "nmnist", **options: object) -> TransferModel:
    torch.manual_seed(3)
    options = {"width": 0.1, "threshold": 0.05, "backend": "torch", **options}
    model = create_model(name, num_classes=3, steps=STEPS, **options)  # type: ignore[arg-type]
    return model.double().eval()


def twins(model: TransferModel, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    shape = (count, STEPS, 2, *model.size)
    event = torch.rand(shape, generator=generator, dtype=torch.float64) * 3
    images = torch.rand((count, *model.size), generator=generator, dtype=torch.float64)
    return [images[:, None, None].expand(shape), event]


def pairs(model: TransferModel, count: int) -> Twins:
    static, event = twins(model, count)
    return Twins(static, event)


def test_layers_are_compared_as_by_hand_over_batches() -> None:
    model = network()
    static, event = twins(model, 11)
    batches = [Twins(static[:6], event[:6]), Twins(static[6:], event[6:])]
    found = compare_branches(model, batches)
    assert (found.pairs, found.batch, found.left_out) == (11, 6, ())
    assert list(found.layers) == ["first", "second", "hidden", FEATURE, LOGITS]
    recorded = Recorded(model)
    with torch.inference_mode():
        outputs = [model(batch.static, batch.event) for batch in batches]
    for name in ("first", "second", "hidden", FEATURE, LOGITS):
        if name in recorded.sent:
            calls = recorded.sent[name]
            both_calls = list(zip(calls[::2], calls[1::2], strict=True))
        else:
            kind = "features" if name == FEATURE else "logits"
            both_calls = [
                (getattr(each, f"static_{kind}"), getattr(each, f"event_{kind}"))
                for each in outputs
            ]
        for step in range(STEPS):
            at = [(s[step].numpy(), e[step].numpy()) for s, e in both_calls]
            both = sum(plain_hsic(s, e) for s, e in at)
            own = sum(plain_hsic(s, s) for s, _ in at) * sum(plain_hsic(e, e) for _, e in at)
            if own > 0:
                debiased = found.layers[name].debiased[step]
                assert debiased == pytest.approx(both / own**0.5, rel=1e-8), (name, step)
        cka = torch.stack([linear_cka(s, e) for s, e in both_calls]).mean(0)
        assert found.layers[name].cka == pytest.approx(cka.tolist(), rel=1e-8)
    assert all(value is not None for value in found.layers["first"].debiased)


def test_a_branch_that_sees_the_same_is_the_same() -> None:
    model = network()
    static, _ = twins(model, 8)
    found = compare_branches(model, [Twins(static, static)])
    for name, each in found.layers.items():
        if name != LOGITS:  # each branch has a head of its own
            known = [value for value in each.debiased if value is not None]
            assert known == pytest.approx([1.0] * len(known)), name
    assert None not in found.layers["first"].debiased


def test_still_images_are_convolved_once_to_the_same_end() -> None:
    model = network()
    static, event = twins(model, 5)
    once, again = (
        compare_branches(model, [Twins(static, event, still)]) for still in (True, False)
    )
    for name, each in once.layers.items():
        assert each.cka == pytest.approx(again.layers[name].cka)


def test_a_layer_that_does_not_vary_has_no_likeness() -> None:
    model = network(threshold=1e6)
    found = compare_branches(model, [pairs(model, 5)])
    assert found.layers["first"].debiased == (None,) * STEPS
    assert found.layers["first"].cka == (0.0,) * STEPS


def test_layers_of_one_branch_are_told() -> None:
    model = network("nmnist-published", width=0.02)
    found = compare_branches(model, [pairs(model, 5)])
    assert found.left_out == ("static_head", "event_head")
    assert "hidden" in found.layers


def test_too_few_pairs_are_an_error() -> None:
    model = network()
    with pytest.raises(ValueError, match="a batch of 3 pairs, expected 4 or more"):
        compare_branches(model, [pairs(model, 3)])
    with pytest.raises(ValueError, match="no twins"):
        compare_branches(model, [])
    assert not any(layer._forward_hooks for layer in model.modules())
