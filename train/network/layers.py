"""Spiking layers that take and return whole sequences ``(T, B, ...)``.

A layer turns what arrives into currents, normalises them and drives a population of neurons,
which starts every sequence from rest. ``norm`` says over what the normalisation takes its
statistics (:mod:`snntx.train.network.norm`), or ``none``; ``backend`` says what computes the inside
of a layer (:mod:`snntx.train.network.backends.names`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import UsageError, nearest
from .attention.asa import attend, attention_at
from .attention.options import Attention
from .backends.names import check_backend, resolve_backend
from .backends.order import wide
from .driving import driven
from .neurons import Neuron, neuron_steps
from .norm import KINDS, StepNorm, normalised_steps, update_running
from .pools import average_pool
from .synapses import Activity, connect, convolve, convolve_once

NORMS = (*KINDS, "none")


class LayerOutput(NamedTuple):
    """What a layer sends on and, when asked for, the membranes after the reset.

    ``activity`` is ``(T, B, ...)``, averaged over windows if the layer pools; ``membrane`` is
    ``(T, B, ...)`` before any pooling.
    """

    activity: Activity
    membrane: Tensor | None

    @property
    def spikes(self) -> Tensor:
        """Return the spikes, or their averages over windows, ``(T, B, ...)``."""
        return self.activity.values


class SpikingLayer(nn.Module, ABC):
    """A normalisation and the neurons that it drives; what makes the currents is the heirs'.

    Args:
        channels: of the currents.
        neuron: the neuron model.
        norm: one of ``NORMS``.
        steps: T of the sequences; only the norm ``per-step-own`` and an attention need it.
        pool: side of the windows over which the spikes are averaged; odd borders are dropped.
        pool_before: side of those over which the normalised currents are, before the neurons.
        backend: ``auto`` or one of the backends.
        attention: what stands in the layer, and where; None for none. Between normalisation and
            neurons it has ``channels``, and so it has behind the pool, on what is sent on.
    """

    leak: Tensor
    threshold: Tensor

    def __init__(
        self,
        channels: int,
        *,
        neuron: Neuron,
        norm: str = "per-step",
        pool: int = 1,
        pool_before: int = 1,
        steps: int = 1,
        backend: str = "auto",
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise UsageError(
                f"unknown norm '{norm}', known: {', '.join(NORMS)}{nearest(norm, NORMS)}"
            )
        self.neuron, self.pool, self.pool_before = neuron, pool, pool_before
        self.backend = check_backend(backend, neuron.surrogate)
        self.norm = None if norm == "none" else StepNorm(channels, norm, steps)
        drives = attention_at("neuron", attention, steps, channels, backend)
        self.attention_place = attention.place if attention else None
        self.attention = drives or attention_at("spikes", attention, steps, channels, backend)
        if neuron.kind == "plif":
            self.leak_logit = nn.Parameter(torch.tensor(neuron.leak_logit))
        else:
            self.register_buffer("leak", torch.tensor(neuron.leak), persistent=False)
        threshold = torch.tensor(neuron.threshold)
        if neuron.learn_threshold:
            self.threshold = nn.Parameter(threshold)
        else:
            self.register_buffer("threshold", threshold, persistent=False)

    @abstractmethod
    def currents(self, activity: Activity, constant: Tensor | None) -> Tensor:
        """Return the currents ``(T, B, C, ...)`` that an activity causes."""

    def forward(
        self,
        arriving: Activity | Tensor,
        *,
        membrane: bool = False,
        constant: Tensor | None = None,
    ) -> LayerOutput:
        """Run a sequence ``(T, B, ...)`` from rest; keep the membranes only if asked to.

        ``constant`` ``(B,)`` marks samples whose frames are the same at every step; only a
        layer that convolves frames makes use of it.
        """
        activity = arriving if isinstance(arriving, Activity) else Activity(arriving)
        if self.attention is not None and self.attention_place == "convolution":
            activity, constant = attend(self.attention, activity), None  # its masks change in time
        currents = self.currents(activity, constant)
        backend = resolve_backend(self.backend, currents.device, currents.dtype)
        if self.norm is not None and self.training and currents[0].numel() == currents.shape[2]:
            raise UsageError(
                "a batch norm in training needs two samples or pixels; the batch has one"
            )
        norm = self.norm
        driving = self.attention if self.attention_place == "neuron" else None
        compiled = backend == "numba" or (backend != "torch" and not self.neuron.graded)
        keeping: AbstractContextManager[Any] = nullcontext()
        if driving is not None or self.pool_before > 1 or (self.neuron.graded and compiled):
            (currents, keeping), norm = driven(currents, norm, self.pool_before, driving), None
        with keeping:
            if not compiled:
                sent = self._step_by_step(currents, norm, membrane)
            elif self.neuron.graded:
                sent = self._graded(currents, membrane)
            else:
                sent = self._fused(currents, norm, membrane, backend)
        if self.attention_place != "spikes":
            return sent
        return LayerOutput(attend(self.attention, sent.activity), sent.membrane)

    def _leak(self, dtype: torch.dtype | None = None) -> Tensor:
        if self.neuron.kind == "plif":
            return torch.sigmoid(self.leak_logit)
        if dtype == torch.float64:  # of which the buffer is only a rounding
            return self.leak.new_tensor(self.neuron.leak, dtype=dtype)
        return self.leak

    def _firing(self, dtype: torch.dtype) -> Tensor:
        """Return the number above which membranes of a type fire, 0-d."""
        threshold = self.threshold.to(dtype)
        if dtype == torch.float64 and not self.neuron.learn_threshold:
            threshold = threshold.new_tensor(self.neuron.threshold)
        return self.neuron.fires_above(threshold)

    def _graded(self, currents: Tensor, membrane: bool) -> LayerOutput:
        from .backends.numba_graded import run_graded  # imports Numba

        dtype = wide(currents.dtype)
        numbers = self._leak(dtype), self._firing(dtype)
        values, state = run_graded(currents, *numbers, self.neuron, membrane=membrane)
        return LayerOutput(Activity(average_pool(values, self.pool)), state)

    def _step_by_step(self, currents: Tensor, norm: StepNorm | None, membrane: bool) -> LayerOutput:
        dtype = currents.dtype
        narrow = dtype in (torch.bfloat16, torch.float16)
        responses = normalised_steps(norm, currents)
        # numbers, where they are no parameters: twice as fast as 0-d tensors, same result
        leak = self._leak() if self.neuron.kind == "plif" else self.neuron.leak
        learnt = self.neuron.learn_threshold or self.neuron.fires == "at"
        threshold = self._firing(wide(dtype)) if learnt else self.neuron.threshold
        steps = neuron_steps(
            (each.float() for each in responses) if narrow else responses,
            leak=leak,
            threshold=threshold,
            surrogate=self.neuron.surrogate,
            dynamics=self.neuron.dynamics,
            graded=self.neuron if self.neuron.graded else None,
        )
        spikes, membranes = [], []
        for fired, state in steps:
            spikes.append(fired.to(dtype))
            if membrane:
                membranes.append(state)
        values = average_pool(torch.stack(spikes), self.pool)
        return LayerOutput(Activity(values), torch.stack(membranes) if membrane else None)

    def _fused(
        self, currents: Tensor, norm: StepNorm | None, membrane: bool, backend: str
    ) -> LayerOutput:
        from .backends.operators import norm_neuron  # registers the operator; compiles nothing

        steps, dtype = len(currents), wide(currents.dtype)
        flat = currents.ndim == 3
        batch_statistics = norm is not None and norm.training
        given = norm is not None and not norm.training
        out = norm_neuron(
            currents[..., None, None] if flat else currents,
            None if norm is None else norm.weight,
            None if norm is None else norm.bias,
            norm.running()[0] if norm is not None and given else None,
            norm.running()[1] if norm is not None and given else None,
            self._leak(dtype),
            self._firing(dtype),
            groups=1 if norm is None else norm.groups(steps),
            epsilon=0.0 if norm is None else norm.eps,
            dynamics=self.neuron.dynamics,
            surrogate=self.neuron.surrogate,
            pool=self.pool,
            membrane=membrane,
            backend=backend,
        )
        if norm is not None and batch_statistics:
            update_running(norm, out.mean, out.variance, currents.numel() // currents.shape[2])
        values, codes, state = out.values, out.codes, out.membrane
        if flat:
            values, codes = values[..., 0, 0], codes[..., 0, 0]
            state = state[..., 0, 0] if membrane else state
        unit = 1 / (self.pool * self.pool)
        return LayerOutput(Activity(values, codes, unit), state if membrane else None)


class SpikingConv2d(SpikingLayer):
    """Convolution, without bias unless asked for, normalisation, neurons, average pool.

    ``(T, B, in_channels, H, W)`` to ``(T, B, out_channels, H', W')``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        neuron: Neuron,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        bias: bool = False,
        norm: str = "per-step",
        pool: int = 1,
        pool_before: int = 1,
        steps: int = 1,
        backend: str = "auto",
        attention: Attention | None = None,
    ) -> None:
        super().__init__(
            out_channels,
            neuron=neuron,
            norm=norm,
            pool=pool,
            pool_before=pool_before,
            steps=steps,
            backend=backend,
            attention=attention,
        )
        before = attention_at("convolution", attention, steps, in_channels, backend)
        self.attention = before or self.attention
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)

    def currents(self, activity: Activity, constant: Tensor | None) -> Tensor:
        """Return the convolution's responses."""
        if constant is not None:
            return convolve_once(activity.values, constant, self.conv)
        return convolve(activity, self.conv)


class SpikingLinear(SpikingLayer):
    """Linear map, normalisation, neurons; ``bias`` only where nothing normalises.

    ``(T, B, in_features)`` to ``(T, B, out_features)``; training a norm needs B of 2 or more. There
    are no maps to attend to: an ``attention`` is taken, as other layers take it, and left out.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        neuron: Neuron,
        norm: str = "per-step",
        steps: int = 1,
        backend: str = "auto",
        attention: Attention | None = None,
    ) -> None:
        super().__init__(out_features, neuron=neuron, norm=norm, steps=steps, backend=backend)
        self.linear = nn.Linear(in_features, out_features, bias=norm == "none")

    def currents(self, activity: Activity, constant: Tensor | None) -> Tensor:
        """Return the linear map's responses."""
        return connect(activity, self.linear)


class SpikingPopulation(SpikingLayer):
    """Normalisation and neurons on analog currents, as pre-activation networks have them.

    ``(T, B, C, H, W)`` to the same shape.
    """

    def currents(self, activity: Activity, constant: Tensor | None) -> Tensor:
        """Return what arrives."""
        return activity.values
