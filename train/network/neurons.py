"""Spiking neurons as pure functions on currents ``(T, B, ...)``.

For a current ``x``, a membrane ``m`` left by the previous step (0 before the first), a leak
``k`` and a threshold θ, one step computes (He et al., AAAI 2024, for ``lif``)::

    u = m + (x - m) k           charge, ``lif`` and ``plif``: the input is scaled by k = 1/τ
    u = m - m k + x             charge, ``lif-undecayed``; ``if`` is k = 0
    s = 1[u - θ > 0]            fire, strictly above the threshold
    m = u (1 - s)               hard reset to 0
    m = u - θ s                 soft reset

The gradient of ``s`` is the surrogate's. A detached reset passes none through its spike, so
earlier steps are reached through ``u`` and through the silent neurons' membrane. ``plif``
learns its leak, ``k = σ(w)`` (Fang et al., ICCV 2021).
These functions define the result that every other backend has to reproduce.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import UsageError, nearest
from .surrogates import QGate, Surrogate

KINDS = ("lif", "plif", "lif-undecayed", "if")
RESETS = ("hard", "soft")


class Dynamics(NamedTuple):
    """What is decided once for a population: how it charges and how it resets."""

    decay_input: bool = True
    soft_reset: bool = False
    detach_reset: bool = True


LIF = Dynamics()
"""The paper's: decayed input, hard and detached reset."""


@dataclass(frozen=True)
class Neuron:
    """A neuron model.

    Attributes:
        kind: ``lif``, ``plif`` (learnable time constant), ``lif-undecayed`` (the input is not
            scaled by 1/τ) or ``if`` (no leak).
        tau: time constant in steps; ``plif`` starts from it, ``if`` ignores it.
        threshold: the membrane fires above it.
        reset: ``hard`` (to 0) or ``soft`` (the threshold is subtracted).
        detach_reset: the reset passes no gradient through its spike.
        learn_threshold: the threshold is a parameter of each population.
        surrogate: slope that stands for the spike's derivative.
    """

    kind: str = "lif"
    tau: float = 2.0
    threshold: float = 0.5
    reset: str = "hard"
    detach_reset: bool = True
    learn_threshold: bool = False
    surrogate: Surrogate = field(default_factory=QGate)

    def __post_init__(self) -> None:
        for what, value, known in (("kind", self.kind, KINDS), ("reset", self.reset, RESETS)):
            if value not in known:
                raise UsageError(
                    f"neuron: unknown {what} '{value}', known: {', '.join(known)}"
                    f"{nearest(value, known)}"
                )
        least = math.nextafter(1, 2) if self.kind == "plif" else 1
        if not (self.tau >= least and math.isfinite(self.tau)):
            more = "more than 1 step" if self.kind == "plif" else "1 step or more"
            raise UsageError(f"neuron: tau is {self.tau}, expected {more}")
        if not (self.threshold > 0 and math.isfinite(self.threshold)):
            raise UsageError(f"neuron: threshold is {self.threshold}, expected a positive number")

    @property
    def leak(self) -> float:
        """Return ``k``: 1/τ, or 0 without a leak."""
        return 0.0 if self.kind == "if" else 1 / self.tau

    @property
    def leak_logit(self) -> float:
        """Return ``w`` with ``σ(w) = 1/τ``: where ``plif`` starts."""
        return -math.log(self.tau - 1)

    @property
    def dynamics(self) -> Dynamics:
        """Return how the population charges and resets."""
        return Dynamics(self.kind in ("lif", "plif"), self.reset == "soft", self.detach_reset)


class Trace(NamedTuple):
    """What a population did: spikes and membranes after the reset, both ``(T, B, ...)``."""

    spikes: Tensor
    membrane: Tensor


def neuron_step(
    current: Tensor,
    membrane: Tensor,
    *,
    leak: float | Tensor,
    threshold: float | Tensor,
    surrogate: Surrogate,
    dynamics: Dynamics = LIF,
) -> tuple[Tensor, Tensor]:
    """Advance ``membrane`` by one step: charge, fire, reset.

    ``current`` is ``(B, ...)``; ``membrane`` has its shape, or is a 0-d zero at the start;
    ``leak`` and ``threshold`` are numbers or 0-d tensors. Returns the spikes and the membrane
    after the reset, both ``(B, ...)``.
    """
    if dynamics.decay_input:
        charged = membrane + (current - membrane) * leak
    else:
        charged = membrane - membrane * leak + current
    spikes = surrogate(charged - threshold)
    gate = spikes.detach() if dynamics.detach_reset else spikes
    if dynamics.soft_reset:
        return spikes, charged - gate * threshold
    return spikes, charged * (1 - gate)


def neuron_steps(
    currents: Iterable[Tensor],
    *,
    leak: float | Tensor,
    threshold: float | Tensor,
    surrogate: Surrogate,
    dynamics: Dynamics = LIF,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``(spikes, membrane)`` for each current ``(B, ...)`` in turn, starting from rest.

    The currents may be computed on demand: only the last membrane is held between steps.
    """
    membrane: Tensor | None = None
    for current in currents:
        start = current.new_zeros(()) if membrane is None else membrane
        spikes, membrane = neuron_step(
            current,
            start,
            leak=leak,
            threshold=threshold,
            surrogate=surrogate,
            dynamics=dynamics,
        )
        yield spikes, membrane


def run_neurons(
    current: Tensor,
    *,
    leak: float | Tensor,
    threshold: float | Tensor,
    surrogate: Surrogate,
    dynamics: Dynamics = LIF,
) -> Trace:
    """Run the whole sequence ``(T, B, ...)`` from rest and keep every step."""
    steps = neuron_steps(
        current.unbind(),
        leak=leak,
        threshold=threshold,
        surrogate=surrogate,
        dynamics=dynamics,
    )
    spikes, membranes = zip(*steps, strict=True)
    return Trace(torch.stack(spikes), torch.stack(membranes))
