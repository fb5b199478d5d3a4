"""Surrogate spike functions: a hard threshold forwards, a bounded slope backwards.

In: the distance to the threshold ``v = u - θ``, any shape. Out: spikes, 0 or 1, same shape
and dtype. A surrogate is a frozen value that is called; ``create_surrogate`` finds it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from ..errors import UsageError, nearest


class Surrogate(Protocol):
    """A differentiable stand-in for the Heaviside step."""

    @property
    def alpha(self) -> float:
        """Sharpness of the slope."""
        ...

    def __call__(self, v: Tensor) -> Tensor:
        """Return the spikes ``1[v > 0]``."""
        ...


class _QGateStep(torch.autograd.Function):
    """Step forwards, triangle backwards (see ``QGate``)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, alpha: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.alpha = alpha
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        (grad,) = grad_outputs
        return grad * qgate_slope(v, ctx.alpha), None


def qgate_slope(v: Tensor, alpha: float) -> Tensor:
    """Return ``max(0, α - α²|v|)``: a triangle of height α, half-width 1/α and area 1."""
    return (alpha - alpha * alpha * v.abs()).clamp_min(0)


@dataclass(frozen=True)
class QGate:
    """The quadratic gate: ``s = 1[v > 0]``, ``ds/dv = max(0, α - α²|v|)``.

    The slope is that of a spike probability which rises quadratically to 1/2 at the
    threshold and quadratically to 1 beyond it (He et al., AAAI 2024, train with α = 2).
    The inequality is strict: a membrane exactly at the threshold stays silent.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise UsageError(f"surrogate qgate: alpha is {self.alpha}, expected a positive number")

    def __call__(self, v: Tensor) -> Tensor:
        """Return the spikes ``1[v > 0]``."""
        step = cast(Callable[[Tensor, float], Tensor], _QGateStep.apply)
        return step(v, self.alpha)


SURROGATES: Mapping[str, Callable[[float], Surrogate]] = MappingProxyType({"qgate": QGate})


def create_surrogate(name: str, *, alpha: float = 2.0) -> Surrogate:
    """Return the surrogate called ``name`` with sharpness ``alpha``."""
    if name not in SURROGATES:
        known = ", ".join(SURROGATES)
        raise UsageError(f"unknown surrogate '{name}', known: {known}{nearest(name, SURROGATES)}")
    return SURROGATES[name](alpha)
