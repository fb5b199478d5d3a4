"""Backends by name: what computes where, and what cannot."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.backends.names import check_backend, resolve_backend
from snntx.train.network.surrogates import QGate, Surrogate


def test_auto_chooses_by_device_and_type() -> None:
    assert resolve_backend("auto", "cpu", torch.float32) == "numba"
    assert resolve_backend("auto", "cpu", torch.bfloat16) == "numba"
    assert resolve_backend("auto", "cpu", torch.float64) == "torch"
    assert resolve_backend("auto", "cuda", torch.float16) == "triton"
    assert resolve_backend("auto", "mps", torch.float32) == "torch"
    assert resolve_backend("torch", "cuda", torch.float32) == "torch"
    with pytest.raises(UsageError, match="numba computes float32, bfloat16, float64, not float16"):
        resolve_backend("numba", "cpu", torch.float16)
    with pytest.raises(UsageError, match="computes on the CPU, not on cuda"):
        resolve_backend("numba", "cuda", torch.float32)


class Hard(Surrogate):
    """A slope of our own, which no fused kernel knows."""

    def slope(self, v: Tensor) -> Tensor:
        return torch.ones_like(v)


def test_a_surrogate_without_a_code_is_computed_by_torch() -> None:
    assert check_backend("auto", QGate()) == "auto"
    assert check_backend("numba", QGate()) == "numba"
    assert check_backend("auto", Hard()) == check_backend("torch", Hard()) == "torch"
    for backend in ("numba", "triton"):
        message = f"backend {backend} does not compute the surrogate hard; use backend torch"
        with pytest.raises(UsageError, match=message):
            check_backend(backend, Hard())
