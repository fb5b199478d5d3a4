"""How often a network's neurons fire: by layer, by step, and in the whole network.

In: a model, over the forward passes inside a context. Out: spikes per neuron and step, from 0 to 1.
NASFR, the network's average spiking firing rate (Yao et al., ICCV 2023), is ``Σ r_l n_l / Σ n_l``
over its spiking layers, the rate ``r_l`` of the ``n_l`` neurons of a layer being its spikes over
``T · samples · n_l``. Spikes are counted as the neurons fire: before an attention that acts on
them, and before any pool but one that a layer has itself, whose odd border sends nothing and is not
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn, zeros_like
from torch.utils.hooks import RemovableHandle

from ..network.layers import LayerOutput, SpikingLayer
from ..network.model import TransferModel
from .watching import Watching


class _Watched(Watching):
    """Calls a function with what each layer's neurons send, ``(T, B, ...)``, inside the context."""

    def __init__(self, model: nn.Module, seen: Callable[[str, SpikingLayer, Tensor], None]) -> None:
        super().__init__(model)
        self._seen = seen

    def hooks(self, name: str, layer: SpikingLayer) -> list[RemovableHandle]:
        """Register and return the hook of one layer."""
        call = partial(self._call, name, layer)
        attention = layer.attention if layer.attention_place == "spikes" else None
        if attention is not None:
            return [attention.register_forward_pre_hook(lambda _, given: call(given[0]))]
        return [layer.register_forward_hook(lambda _, __, out: call(_spikes(out)))]

    def _call(self, name: str, layer: SpikingLayer, sent: Tensor) -> None:
        self._seen(name, layer, sent.detach())


def _spikes(output: LayerOutput) -> Tensor:
    return output.spikes


class FiringRates(_Watched):
    """Mean firing of every layer of a model, over the forward passes inside the context."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, self._add)
        self._sums: dict[str, Tensor] = {}
        self._passes: dict[str, int] = {}

    def _add(self, name: str, _: SpikingLayer, sent: Tensor) -> None:
        mean = sent.float().mean()
        self._sums[name] = self._sums.get(name, zeros_like(mean)) + mean
        self._passes[name] = self._passes.get(name, 0) + 1

    def rates(self) -> dict[str, float]:
        """Return spikes per neuron and step of each layer, from 0 to 1."""
        return {name: float(total) / self._passes[name] for name, total in self._sums.items()}


@dataclass(frozen=True)
class LayerFiring:
    """How often a layer's neurons fired.

    Attributes:
        neurons: of the layer.
        rate: spikes per neuron and step.
        by_step: spikes per neuron of each step.
    """

    neurons: int
    rate: float
    by_step: tuple[float, ...]


@dataclass(frozen=True)
class Firing:
    """How often a network's neurons fired.

    Attributes:
        nasfr: spikes per neuron and step of the whole network.
        layers: by name, in order.
    """

    nasfr: float
    layers: dict[str, LayerFiring]


class SpikeCounts(_Watched):
    """Spikes of every layer of a model that runs, counted over the passes inside the context."""

    def __init__(self, model: TransferModel) -> None:
        super().__init__(model, self._add)
        self._graded = model.neuron.sends != "spikes"
        self._pools = {name: layer.pool for name, layer in self._layers.items()}
        self._spikes: dict[str, Tensor] = {}
        self._samples: dict[str, int] = {}
        self._neurons: dict[str, int] = {}

    def _add(self, name: str, _: SpikingLayer, sent: Tensor) -> None:
        windows = self._pools[name] ** 2
        # of each sample in float32, where sums of spikes are exact; flattened, they would be copied
        by_sample = sent.float().sum(tuple(range(2, sent.ndim)))
        by_step = by_sample.sum(1, dtype=torch.float64) * windows
        self._spikes[name] = self._spikes.get(name, zeros_like(by_step)) + by_step
        self._samples[name] = self._samples.get(name, 0) + sent.shape[1]
        self._neurons[name] = sent[0, 0].numel() * windows

    def firing(self) -> Firing | None:
        """Return the rates; None where no neurons spike, since they send graded values."""
        if self._graded or not self._spikes:
            return None
        layers = {}
        for name, counted in self._spikes.items():
            neurons = self._neurons[name]
            by_step = counted / (self._samples[name] * neurons)
            layers[name] = LayerFiring(neurons, float(by_step.mean()), tuple(by_step.tolist()))
        every = sum(layer.neurons for layer in layers.values())
        spread = sum(layer.rate * layer.neurons for layer in layers.values())
        return Firing(spread / every, layers)
