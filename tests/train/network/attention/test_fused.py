"""The compiled loops of the attention against the readable path."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.attention.asa import ASA

SHAPE = (4, 3, 6, 9, 10)


def results(
    backend: str, maps: Tensor, mode: str, combine: str, *, last: bool = True
) -> dict[str, Tensor]:
    """Result and gradients of one pass."""
    torch.manual_seed(0)
    attention = ASA(len(maps), maps.shape[2], 1, 0.5, mode, combine, backend=backend)
    attention = attention.double() if maps.dtype == torch.float64 else attention
    # as recipes make networks
    attention.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if last:
        flat = maps.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps = flat.view(maps.shape)
    maps = maps.clone().requires_grad_()
    out = attention(maps)
    weights = torch.randn(maps.shape, generator=torch.Generator().manual_seed(5)).to(maps.dtype)
    out.backward(weights)
    assert maps.grad is not None
    found = {"out": out.detach(), "maps": maps.grad}
    learnt = {name: each.grad for name, each in attention.named_parameters()}
    return found | {name: grad for name, grad in learnt.items() if grad is not None}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        atol = tolerance * max(1.0, value.abs().max().item())
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol, msg=name)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*(st.integers(1, 5) for _ in range(5))),
    st.sampled_from(["per-sample", "trainable", "reference"]),
    st.sampled_from(["xor", "and", "or"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_result_and_gradients_are_those_of_the_readable_path(
    shape: tuple[int, ...], mode: str, combine: str, tied: bool, last: bool, seed: int
) -> None:
    combine = "xor" if mode == "reference" else combine
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # small whole numbers: maxima are reached several times, and the first has the gradient
    maps = maps.round() if tied else maps
    wanted = results("torch", maps, mode, combine, last=last)
    found = results("numba", maps, mode, combine, last=last)
    assert_same(found, wanted, 1e-9)


@pytest.mark.parametrize("mode", ["per-sample", "trainable", "reference"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float64, 1e-11)]
)
def test_it_is_so_in_each_number_type(dtype: torch.dtype, tolerance: float, mode: str) -> None:
    maps = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)).to(dtype)
    assert_same(results("numba", maps, mode, "xor"), results("torch", maps, mode, "xor"), tolerance)


def test_no_result_depends_on_the_number_of_threads() -> None:
    maps = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = results("numba", maps, "trainable", "xor")
        torch.set_num_threads(2)
        two = results("numba", maps, "trainable", "xor")
    finally:
        torch.set_num_threads(before)
    assert_same(two, one, 0)


def test_it_keeps_the_maps_and_little_more() -> None:
    maps = torch.randn(20, 2, 16, 12, 12, requires_grad=True)
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        ASA(20, 16, backend="numba")(maps)
    assert maps.nbytes <= sum(kept.values()) < 1.1 * maps.nbytes


def test_auto_takes_the_loops_where_the_layers_do() -> None:
    maps = torch.ones(2, 1, 3, 2, 2)
    kinds = (torch.float32, torch.bfloat16, torch.float64, torch.float16)
    assert [ASA(2, 3).is_fused(maps.to(kind)) for kind in kinds] == [True, True, False, False]
    assert not ASA(2, 3, backend="torch").is_fused(maps)
    with pytest.raises(UsageError, match="backend numba computes float32"):
        ASA(2, 3, backend="numba").is_fused(maps.half())
    with pytest.raises(UsageError, match="backend numba computes on the CPU, not on meta"):
        ASA(2, 3, backend="numba").is_fused(maps.double().to("meta"))
