"""Firing rates of a network's layers: spikes per neuron and step, from 0 to 1."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn, zeros_like

from ..network.layers import LayerOutput, SpikingLayer


class FiringRates:
    """Mean firing of every layer of a model, over the forward passes inside the context."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = {n: m for n, m in model.named_modules() if isinstance(m, SpikingLayer)}
        self._sums: dict[str, Tensor] = {}
        self._passes: dict[str, int] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for name, layer in self._layers.items():
            self._hooks.append(layer.register_forward_hook(partial(self._add, name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _add(self, name: str, _: nn.Module, __: Any, output: LayerOutput) -> None:
        mean = output.spikes.detach().float().mean()
        self._sums[name] = self._sums.get(name, zeros_like(mean)) + mean
        self._passes[name] = self._passes.get(name, 0) + 1

    def rates(self) -> dict[str, float]:
        """Return spikes per neuron and step of each layer, from 0 to 1."""
        return {name: float(total) / self._passes[name] for name, total in self._sums.items()}
