"""Spiking neurons as pure functions on currents ``(T, B, ...)``.

For a current ``x``, a membrane ``m`` left by the previous step (0 before the first), a leak
``k`` and a threshold θ, one step computes (He et al., AAAI 2024, for ``lif``)::

    u = m + (x - m) k           charge, ``lif`` and ``plif``: the input is scaled by k = 1/τ
    u = m - m k + x + β         charge, ``lif-undecayed``; ``if`` is k = 0; no β at the first step
    s = 1[u - θ > 0]            fire, strictly above the threshold, or at it too (``fires``)
    m = u (1 - s) + ρ s         hard reset to ρ
    m = u - θ s                 soft reset

The gradient of ``s`` is the surrogate's. A detached reset passes none through its spike, so
earlier steps are reached through ``u`` and through the silent neurons' membrane. ``plif``
learns its leak, ``k = σ(w)`` (Fang et al., ICCV 2021). ρ and β are 0 but in the neuron of Yao et
al. (ICCV 2023), whose decay α is ``1 - k``. What is sent on is ``s``, or graded as in LIAF networks
(Wu et al., 2021): ``max(u, 0)`` or ``max(u - θ, 0)``, the reset going by ``s`` all the same.
``relu`` is the ANN of the same layers: k = 1 and no spike, so that ``u = x`` at every step, what is
sent is ``max(x, 0)`` and the membrane is ``x``; no step knows of another.
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

KINDS = ("lif", "plif", "lif-undecayed", "if", "relu")
RESETS = ("hard", "soft")
FIRES = ("above", "at")
NEVER = 1e9
"""A threshold that no current reaches."""
SENDS = ("spikes", "membrane", "excess")


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
            scaled by 1/τ), ``if`` (no leak) or ``relu`` (an ANN's unit, which has neither time
            constant, threshold nor reset: those are not looked at).
        tau: time constant in steps; ``plif`` starts from it, ``if`` ignores it.
        threshold: the membrane fires above it.
        reset: ``hard`` (to 0) or ``soft`` (the threshold is subtracted).
        detach_reset: the reset passes no gradient through its spike.
        learn_threshold: the threshold is a parameter of each population.
        surrogate: slope that stands for the spike's derivative.
        fires: ``above`` the threshold, or ``at`` it too.
        sends: ``spikes``, the charged ``membrane`` where it is positive, or its ``excess`` over
            the threshold.
        rest: the membrane after a hard reset.
        offset: what is added to the membrane between two steps, where its input is undecayed.
    """

    kind: str = "lif"
    tau: float = 2.0
    threshold: float = 0.5
    reset: str = "hard"
    detach_reset: bool = True
    learn_threshold: bool = False
    surrogate: Surrogate = field(default_factory=QGate)
    fires: str = "above"
    sends: str = "spikes"
    rest: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for what, value, known in (
            ("kind", self.kind, KINDS),
            ("reset", self.reset, RESETS),
            ("fires", self.fires, FIRES),
            ("sends", self.sends, SENDS),
        ):
            if value not in known:
                raise UsageError(
                    f"neuron: unknown {what} '{value}', known: {', '.join(known)}"
                    f"{nearest(value, known)}"
                )
        if self.kind == "relu":
            self._as_unit()
        least = math.nextafter(1, 2) if self.kind == "plif" else 1
        if not (self.tau >= least and math.isfinite(self.tau)):
            more = "more than 1 step" if self.kind == "plif" else "1 step or more"
            raise UsageError(f"neuron: tau is {self.tau}, expected {more}")
        if not (self.threshold > 0 and math.isfinite(self.threshold)):
            raise UsageError(f"neuron: threshold is {self.threshold}, expected a positive number")
        if not math.isfinite(self.rest) or (self.rest and self.reset != "hard"):
            raise UsageError(
                f"neuron: rest is {self.rest} with a {self.reset} reset, expected 0, or a number "
                "with a hard reset"
            )
        if not math.isfinite(self.offset) or (self.offset and self.dynamics.decay_input):
            raise UsageError(
                f"neuron: offset is {self.offset} with kind {self.kind}, expected 0, or a number "
                "with kind lif-undecayed or if"
            )

    def _as_unit(self) -> None:
        """Take the constants under which the equations give ``max(x, 0)``."""
        if self.learn_threshold or self.sends == "excess":
            raise UsageError(
                "neuron: kind relu has no threshold; leave out learn_threshold and sends"
            )
        unit = {"tau": 1.0, "threshold": NEVER, "reset": "hard", "sends": "membrane"}
        for name, value in {**unit, "rest": 0.0, "offset": 0.0}.items():
            object.__setattr__(self, name, value)

    @property
    def graded(self) -> bool:
        """Whether it sends anything but spikes, or rests elsewhere than at 0."""
        return self.sends != "spikes" or bool(self.rest or self.offset)

    def fires_above(self, threshold: Tensor) -> Tensor:
        """Return the number above which a threshold (0-d, of the membranes' type) lets it fire.

        That is the next smaller one where it fires ``at`` the threshold; the gradient is the same.
        """
        if self.fires == "above":
            return threshold
        below = torch.nextafter(threshold.detach(), threshold.new_tensor(-math.inf))
        return threshold + (below - threshold.detach())

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
    graded: Neuron | None = None,
) -> tuple[Tensor, Tensor]:
    """Advance ``membrane`` by one step: charge, fire, reset.

    ``current`` is ``(B, ...)``; ``membrane`` has its shape, or is a 0-d zero at the start;
    ``leak`` and ``threshold`` are numbers or 0-d tensors; ``graded`` says what is sent instead of
    spikes, and where the membrane rests. Returns what is sent and the membrane after the reset,
    both ``(B, ...)``.
    """
    if dynamics.decay_input:
        charged = membrane + (current - membrane) * leak
    else:
        charged = membrane - membrane * leak + current
    spikes = surrogate(charged - threshold)
    gate = spikes.detach() if dynamics.detach_reset else spikes
    sent = spikes
    if graded is not None and graded.sends != "spikes":
        sent = torch.relu(charged if graded.sends == "membrane" else charged - threshold)
    if dynamics.soft_reset:
        return sent, charged - gate * threshold
    after = charged * (1 - gate)
    return sent, after + gate * graded.rest if graded is not None and graded.rest else after


def neuron_steps(
    currents: Iterable[Tensor],
    *,
    leak: float | Tensor,
    threshold: float | Tensor,
    surrogate: Surrogate,
    dynamics: Dynamics = LIF,
    graded: Neuron | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``(sent, membrane)`` for each current ``(B, ...)`` in turn, starting from 0.

    The currents may be computed on demand: only the last membrane is held between steps.
    """
    membrane: Tensor | None = None
    for current in currents:
        start = current.new_zeros(()) if membrane is None else membrane
        added = graded.offset if graded is not None and membrane is not None else 0.0
        sent, membrane = neuron_step(
            current + added if added else current,
            start,
            leak=leak,
            threshold=threshold,
            surrogate=surrogate,
            dynamics=dynamics,
            graded=graded,
        )
        yield sent, membrane


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
