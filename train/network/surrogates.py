"""Surrogate spike functions: a hard threshold forwards, a bounded slope backwards.

In: the distance to the threshold ``v = u - θ``, any shape. Out: spikes, 0 or 1, same shape
and dtype. The inequality is strict: a membrane exactly at the threshold stays silent. A
surrogate is a frozen value that is called; ``create_surrogate`` finds it by name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from ...errors import UsageError
from .doors import SURROGATES


class _Step(torch.autograd.Function):
    """Heaviside step forwards, the surrogate's slope backwards."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        (grad,) = grad_outputs
        return grad * ctx.surrogate.slope(v), None


@dataclass(frozen=True)
class Surrogate(ABC):
    """A differentiable stand-in for the Heaviside step; ``alpha`` sets its sharpness.

    A subclass has to provide :meth:`slope`. ``code`` is its number in the fused kernels, which
    compute the same slopes; without one, layers are computed by the backend ``torch``.
    """

    alpha: float = 2.0

    code: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise UsageError(
                f"surrogate {self.name}: alpha is {self.alpha}, expected a positive number"
            )

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return type(self).__name__.lower()

    def __call__(self, v: Tensor) -> Tensor:
        """Return the spikes ``1[v > 0]``."""
        step = cast(Callable[[Tensor, Surrogate], Tensor], _Step.apply)
        return step(v, self)

    @abstractmethod
    def slope(self, v: Tensor) -> Tensor:
        """Return what stands for ``ds/dv``, same shape and dtype as ``v``."""


@SURROGATES.register("qgate")
class QGate(Surrogate):
    """The quadratic gate: ``max(0, α - α²|v|)``, a triangle of area 1.

    The slope is that of a spike probability which rises quadratically to 1/2 at the
    threshold and quadratically to 1 beyond it (He et al., AAAI 2024, train with α = 2).
    """

    code: ClassVar[int] = 0

    def slope(self, v: Tensor) -> Tensor:
        """Return ``max(0, α - α²|v|)``."""
        return (self.alpha - self.alpha * self.alpha * v.abs()).clamp_min(0)


@SURROGATES.register("gate")
class Gate(Surrogate):
    """The gate: 1 within ``1/α`` of the threshold, 0 outside; its height does not depend on α."""

    code: ClassVar[int] = 1

    def slope(self, v: Tensor) -> Tensor:
        """Return ``1[|v| < 1/α]``."""
        return (v.abs() < 1 / self.alpha).to(v.dtype)


@SURROGATES.register("backeigate")
class BackEIGate(Surrogate):
    """The gate of the N-Omniglot runs: ``1[|v| < 1/2]`` whatever α is (He et al., AAAI 2024)."""

    code: ClassVar[int] = 2

    def slope(self, v: Tensor) -> Tensor:
        """Return ``1[|v| < 1/2]``."""
        return (v.abs() < 0.5).to(v.dtype)


@SURROGATES.register("atan")
class ATan(Surrogate):
    """The derivative of a scaled arctangent, area 1 (Fang et al., ICCV 2021)."""

    code: ClassVar[int] = 3

    def slope(self, v: Tensor) -> Tensor:
        """Return ``α / 2 / (1 + (π α v / 2)²)``."""
        scaled = v * (math.pi / 2 * self.alpha)
        return (self.alpha / 2) / (1 + scaled * scaled)


@SURROGATES.register("sigmoid")
class Sigmoid(Surrogate):
    """The derivative of a logistic function, area 1 (Neftci et al., 2019)."""

    code: ClassVar[int] = 4

    def slope(self, v: Tensor) -> Tensor:
        """Return ``α σ(α v) (1 - σ(α v))``."""
        half = torch.sigmoid(v * self.alpha)
        return self.alpha * half * (1 - half)


@SURROGATES.register("rectangular")
class Rectangular(Surrogate):
    """A rectangle of width α and area 1 (Wu et al., Frontiers in Neuroscience 2018)."""

    code: ClassVar[int] = 5

    def slope(self, v: Tensor) -> Tensor:
        """Return ``1/α · 1[|v| < α/2]``."""
        return (v.abs() < self.alpha / 2).to(v.dtype) / self.alpha


def create_surrogate(name: str, *, alpha: float = 2.0) -> Surrogate:
    """Return the surrogate called ``name`` with sharpness ``alpha``.

    Raises:
        UsageError: there is none of that name, or its sharpness cannot be.
    """
    found: type[Surrogate] = SURROGATES.get(name)
    return found(alpha)
