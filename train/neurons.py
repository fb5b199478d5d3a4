"""The leaky integrate-and-fire neuron as pure functions on currents ``(T, B, ...)``.

For a current ``x``, a membrane ``m`` left by the previous step (0 before the first), a time
constant τ in steps and a threshold θ, one step computes (He et al., AAAI 2024)::

    u = m + (x - m) / τ             charge
    s = 1[u > θ]                    fire, strictly above the threshold
    m = u · (1 - stopgrad(s))       hard reset to 0

The current is scaled by 1/τ. The gradient of ``s`` is the surrogate's; the reset gate passes
none, so earlier steps are reached through ``u`` and through the silent neurons' membrane.
These functions define the result that every other backend has to reproduce.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError
from .surrogates import QGate, Surrogate


@dataclass(frozen=True)
class LIFParameters:
    """One neuron model: time constant in steps, firing threshold, surrogate slope."""

    tau: float = 2.0
    threshold: float = 0.5
    surrogate: Surrogate = field(default_factory=QGate)

    def __post_init__(self) -> None:
        if not self.tau >= 1:
            raise UsageError(f"neuron: tau is {self.tau}, expected 1 step or more")
        if not self.threshold > 0:
            raise UsageError(f"neuron: threshold is {self.threshold}, expected a positive number")


class LIFTrace(NamedTuple):
    """What a population did: spikes and membranes after the reset, both ``(T, B, ...)``."""

    spikes: Tensor
    membrane: Tensor


def lif_step(
    current: Tensor, membrane: Tensor, *, tau: float, threshold: float, surrogate: Surrogate
) -> tuple[Tensor, Tensor]:
    """Advance ``membrane`` by one step: charge, fire, reset.

    ``current`` is ``(B, ...)``; ``membrane`` has its shape, or is a 0-d zero at the start.
    Returns the spikes and the membrane after the reset, both ``(B, ...)``.
    """
    charged = membrane + (current - membrane) / tau
    spikes = surrogate(charged - threshold)
    return spikes, charged * (1 - spikes.detach())


def lif_steps(
    currents: Iterable[Tensor], *, tau: float, threshold: float, surrogate: Surrogate
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``(spikes, membrane)`` for each current ``(B, ...)`` in turn, starting from rest.

    The currents may be computed on demand: only the last membrane is held between steps.
    """
    membrane: Tensor | None = None
    for current in currents:
        start = current.new_zeros(()) if membrane is None else membrane
        spikes, membrane = lif_step(
            current, start, tau=tau, threshold=threshold, surrogate=surrogate
        )
        yield spikes, membrane


def lif(current: Tensor, *, tau: float, threshold: float, surrogate: Surrogate) -> LIFTrace:
    """Run the whole sequence ``(T, B, ...)`` from rest and keep every step."""
    steps = lif_steps(current.unbind(), tau=tau, threshold=threshold, surrogate=surrogate)
    spikes, membranes = zip(*steps, strict=True)
    return LIFTrace(torch.stack(spikes), torch.stack(membranes))
