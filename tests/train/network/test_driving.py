"""What drives neurons: normalised, pooled, attended to, and little of it kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.driving import normalised_and_pooled
from snntx.train.network.layers import SpikingConv2d
from snntx.train.network.neurons import Neuron
from snntx.train.network.norm import StepNorm, normalised
from snntx.train.network.recompute import made_again, recomputing


def currents(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(3, 2, 4, 7, 6, generator=generator, dtype=torch.float64).to(dtype)
    return drawn.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(drawn.shape)


def results(norm: StepNorm, out: Tensor, given: Tensor) -> dict[str, Tensor]:
    drawn = torch.rand(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
    torch.autograd.backward([out], [drawn])
    assert given.grad is not None
    assert norm.weight.grad is not None
    assert norm.bias.grad is not None
    own = {"out": out, "x": given.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return own | {name: each.clone() for name, each in norm.named_buffers()}


@pytest.mark.parametrize("kind", ["merged", "per-step", "per-step-own"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool", [1, 2, 3])
def test_norm_and_pool_together_are_one_after_the_other(
    kind: str, training: bool, pool: int
) -> None:
    found = []
    for together in (True, False):
        norm = StepNorm(4, kind, 3).double().train(training)
        norm.running_mean.normal_(generator=torch.Generator().manual_seed(2))
        given = currents().requires_grad_()
        if together:
            out = normalised_and_pooled(norm, given, pool)
        else:
            flat = functional.avg_pool2d(normalised(norm, given).flatten(0, 1), pool)
            out = flat.view(3, 2, *flat.shape[1:])
        found.append(results(norm, out, given))
    for name, value in found[1].items():
        torch.testing.assert_close(found[0][name], value, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", ["per-sample", "trainable"])
@pytest.mark.parametrize("sends", ["spikes", "membrane"])
def test_an_attentions_result_that_is_made_again_changes_no_bit(
    dtype: torch.dtype, mode: str, sends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, Tensor]] = []
    for keeps in (False, True):
        torch.manual_seed(0)
        layer = SpikingConv2d(
            4,
            4,
            neuron=Neuron(threshold=0.1, sends=sends),
            norm="merged",
            pool_before=2,
            steps=3,
            backend="numba",
            attention=Attention(mode=mode),
        ).to(dtype)
        given = currents(dtype).requires_grad_()
        made: list[int] = []
        with monkeypatch.context() as patch:
            stand_in = _keeping if keeps else partial(_counting, made)
            patch.setattr("snntx.train.network.driving.made_again", stand_in)
            out = layer(given).spikes
        torch.autograd.backward([out], [torch.ones_like(out)])
        assert made == ([] if keeps else [1])
        assert given.grad is not None
        grads = {n: p.grad for n, p in layer.named_parameters() if p.grad is not None}
        found.append({"out": out, "x": given.grad, **grads})
    assert found[0].keys() == found[1].keys()
    assert ("attention.alpha" in found[0]) == (mode == "trainable")
    for name, value in found[1].items():
        assert torch.equal(found[0][name], value), name


def _keeping(maps: Tensor, make: Callable[[], Tensor]) -> AbstractContextManager[Any]:
    return nullcontext()


def _counting(
    made: list[int], maps: Tensor, make: Callable[[], Tensor]
) -> AbstractContextManager[Any]:
    def again() -> Tensor:
        made.append(1)
        return make()

    return made_again(maps, again)


def test_a_tensor_is_not_kept_and_made_once_for_each_that_needs_it() -> None:
    given = torch.rand(5, requires_grad=True)
    middle = given * 2
    made = []

    def make() -> Tensor:
        assert recomputing()
        made.append(1)
        return given.detach() * 2

    with made_again(middle, make):
        out = middle.square().sum()
    with torch.no_grad():
        middle.zero_()  # nobody looks at it any more
    out.backward()  # type: ignore[no-untyped-call]
    assert made == [1]
    assert not recomputing()
    assert given.grad is not None
    torch.testing.assert_close(given.grad, 8 * given.detach())


def kept(**options: Any) -> int:
    """Bytes that a pass keeps for its backward pass, but for parameters."""
    torch.manual_seed(0)
    model = create_model("asa3", num_classes=3, steps=4, width=0.5, **options).train()
    own = {each.data_ptr() for each in model.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    frames = torch.rand(2, 4, 2, 32, 32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda each: each):
        out = model.forward_event(frames)
    assert out.requires_grad
    return sum(sizes.values())


def test_an_attention_adds_one_map_a_layer_to_what_is_kept() -> None:
    maps = 4 * 2 * 4 * (32 * 32 * 32 + 64 * 16 * 16 + 64 * 8 * 8)  # float32, after the pools
    plain, attended = kept(), kept(attention=Attention())
    first = 4 * 2 * 4 * 32 * 32 * 32  # what drives the first layer's neurons, else never written
    assert attended - plain < first + 0.1 * maps
    assert kept(attention=Attention(), keep_activations=False) < attended
