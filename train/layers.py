"""Spiking layers that take and return whole sequences ``(T, B, ...)``.

A layer is a synapse (convolution or linear map), a batch normalisation and a population of
leaky integrate-and-fire neurons, which starts every sequence from rest. The normalisation
takes its statistics per time step, over the B samples of that step alone: a training forward
pass updates the running statistics T times, in the order of the steps, and evaluation uses
one set of them for every step (He et al., AAAI 2024).

``backend`` says what computes the inside of a layer. This release has ``"torch"``, the
step-by-step loop; ``"auto"`` resolves to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import UsageError, nearest
from .neurons import LIFParameters, lif_steps

BACKENDS = ("torch",)


def resolve_backend(name: str) -> str:
    """Return the backend that ``name`` (one of ``BACKENDS``, or ``"auto"``) stands for."""
    if name == "auto":
        return "torch"
    if name not in BACKENDS:
        known = ", ".join(("auto", *BACKENDS))
        raise UsageError(f"unknown backend '{name}', known: {known}{nearest(name, BACKENDS)}")
    return name


class LayerOutput(NamedTuple):
    """Spikes ``(T, B, ...)`` and, when asked for, the membranes after the reset, same shape."""

    spikes: Tensor
    membrane: Tensor | None


class SpikingLayer(nn.Module, ABC):
    """A synapse that turns a sequence into currents, and the neurons that they drive."""

    def __init__(self, neuron: LIFParameters, backend: str) -> None:
        super().__init__()
        self.neuron = neuron
        self.backend = resolve_backend(backend)

    @abstractmethod
    def currents(self, sequence: Tensor) -> Iterator[Tensor]:
        """Yield the input current ``(B, ...)`` of each step, in order."""

    def forward(self, sequence: Tensor, *, membrane: bool = False) -> LayerOutput:
        """Run a sequence ``(T, B, ...)`` from rest; keep the membranes only if asked to."""
        neuron = self.neuron
        steps = lif_steps(
            self.currents(sequence),
            tau=neuron.tau,
            threshold=neuron.threshold,
            surrogate=neuron.surrogate,
        )
        if not membrane:
            return LayerOutput(torch.stack([spikes for spikes, _ in steps]), None)
        spikes, membranes = zip(*steps, strict=True)
        return LayerOutput(torch.stack(spikes), torch.stack(membranes))


class ConvNormLIF(SpikingLayer):
    """3x3 convolution (padding 1, no bias), batch norm, LIF.

    ``(T, B, in_channels, H, W)`` to ``(T, B, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, neuron: LIFParameters, backend: str = "auto"
    ) -> None:
        super().__init__(neuron, backend)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def currents(self, sequence: Tensor) -> Iterator[Tensor]:
        """Yield the normalised responses ``(B, out_channels, H, W)``."""
        responses: Tensor = self.conv(sequence.flatten(0, 1))
        for response in _as_sequence(responses, sequence).unbind():
            yield self.norm(response)


class LinearNormLIF(SpikingLayer):
    """Linear map (no bias), batch norm, LIF.

    ``(T, B, in_features)`` to ``(T, B, out_features)``; training needs B of 2 or more.
    """

    def __init__(
        self, in_features: int, out_features: int, *, neuron: LIFParameters, backend: str = "auto"
    ) -> None:
        super().__init__(neuron, backend)
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.norm = nn.BatchNorm1d(out_features)

    def currents(self, sequence: Tensor) -> Iterator[Tensor]:
        """Yield the normalised responses ``(B, out_features)``."""
        responses: Tensor = self.linear(sequence)
        for response in responses.unbind():
            yield self.norm(response)


def average_pool(sequence: Tensor, size: int = 2) -> Tensor:
    """Average each step over ``size`` x ``size`` windows; odd borders are dropped.

    ``(T, B, C, H, W)`` to ``(T, B, C, H // size, W // size)``.
    """
    pooled = functional.avg_pool2d(sequence.flatten(0, 1), size)
    return _as_sequence(pooled, sequence)


def _as_sequence(flat: Tensor, like: Tensor) -> Tensor:
    """Return ``(T * B, ...)`` as ``(T, B, ...)``, with T and B of ``like``."""
    return flat.view(*like.shape[:2], *flat.shape[1:])
