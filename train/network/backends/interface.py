"""What a fused backend provides: statistics, forward and backward of one spiking layer.

A *current* is ``(T, B, C, H, W)``; a layer without pixels has H = W = 1. It is dense in one
of two orders: contiguous, or channels-last (strides of ``(T * B, C, H, W)`` in PyTorch's
``channels_last``), and every result of its size takes its order. G is the number of groups of
steps that share statistics: T (each step has its own) or 1. Everything per channel, and all
arithmetic, is float32; currents, spikes and their gradients are float32, bfloat16 or (CUDA)
float16. On the CPU they may be float64 too, and everything beside them then is.

A neuron computes ``y = current · scale + shift`` (``y = current`` without a norm), then what
:mod:`snntx.train.network.neurons` defines, rounding at the same places: one multiplication, then
one addition, never fused into one rounding.

With ``pool`` p > 1 the spikes are averaged over p x p windows before they are returned, odd
borders dropped. ``codes`` are the spikes (of a window) counted, uint8: values = codes / p².
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from ..neurons import Dynamics


class Affine(NamedTuple):
    """The normalisation of each group and channel, ``(G, C)``."""

    scale: Tensor
    shift: Tensor


class Normalised(NamedTuple):
    """What the backward pass needs to know of a normalisation.

    ``mean`` and ``rstd`` are ``(G, C)``, ``weight`` is ``(C,)``. With ``batch``
    they are statistics of the current itself, and its gradient goes through them too.
    """

    mean: Tensor
    rstd: Tensor
    weight: Tensor
    batch: bool


class Population(NamedTuple):
    """The neurons: leak and threshold (0-d tensors on the current's device)."""

    leak: Tensor
    threshold: Tensor
    dynamics: Dynamics
    surrogate: int
    alpha: float


class Layer(NamedTuple):
    """What one pass works on: a current, its normalisation (None for none) and its neurons.

    ``pool`` is the side of the windows over which spikes are averaged.
    """

    current: Tensor
    affine: Affine | None
    population: Population
    pool: int = 1


class Fired(NamedTuple):
    """Spikes ``(T, B, C, H // p, W // p)`` in the current's dtype, their codes, the membranes.

    ``membrane`` is after the reset, ``(T, B, C, H, W)``, or empty if not asked for.
    """

    values: Tensor
    codes: Tensor
    membrane: Tensor


class Arrived(NamedTuple):
    """Gradients that come back to a layer, with any strides.

    ``values`` is as ``Fired.values``; ``membrane`` as ``Fired.membrane``, or None.
    """

    values: Tensor
    membrane: Tensor | None


class Gradients(NamedTuple):
    """Gradients of the current (its dtype), of weight and bias ``(C,)``, leak and threshold.

    ``weight`` and ``bias`` are empty without a norm; ``leak`` and ``threshold`` are 0-d.
    """

    current: Tensor
    weight: Tensor
    bias: Tensor
    leak: Tensor
    threshold: Tensor


class FusedBackend(Protocol):
    """Three functions; a module that has them is a backend."""

    def statistics(self, current: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance ``(G, C)`` over samples and pixels.

        With G = 1 they are over all steps as well.
        """

    def forward(self, layer: Layer, *, membrane: bool) -> Fired:
        """Run the whole sequence from rest."""

    def backward(self, layer: Layer, arrived: Arrived, normalised: Normalised | None) -> Gradients:
        """Return the gradients, recomputing the membranes from the current.

        Those of leak and threshold are 0 where neither requires one.
        """
