"""What each layer's neurons did: silent shares, membrane updates, neurons that never rest or fire.

In: a model, over the forward passes inside a context. Out: numbers of every spiking layer. The
compiled loops of the CPU count as they compute. Any other layer keeps its membranes while the
context lasts, and one that pools sends its neurons' own spikes, which are pooled behind it as it
would have pooled them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ..network.backends.names import resolve_backend
from ..network.backends.order import dense
from ..network.layers import LayerOutput, SpikingLayer
from ..network.model import TransferModel
from ..network.pools import average_pool
from ..network.synapses import Activity
from .watching import Watching

if TYPE_CHECKING:
    from ..network.backends.numba_fused import Counts


@dataclass(frozen=True)
class Neurons:
    """What a layer's neurons did; those that an odd border of a pool leaves out are among them.

    Attributes:
        neurons: of the layer.
        sparsity: share of neurons, steps and samples in which nothing was sent.
        by_step: the same of each step.
        updates: membranes that changed, of a sample over all steps.
        dead: share of neurons that never sent anything.
        saturated: share that sent something at every step of every sample.
    """

    neurons: int
    sparsity: float
    by_step: tuple[float, ...]
    updates: float
    dead: float
    saturated: float


class _Tally:
    """One layer's sums over the passes."""

    def __init__(self) -> None:
        self.samples = 0
        self.fired: Any = 0
        self.by_step: Any = 0
        self.moved: Any = 0

    def add(self, sent: Tensor, membrane: Tensor) -> None:
        """Add spikes and membranes ``(T, B, ...)``."""
        if sent.ndim == 5:  # in the order in which compiled layers count
            last = (dense(each, last=True) for each in (sent, membrane))
            sent, membrane = (each.permute(0, 1, 3, 4, 2) for each in last)
        found = (_compiled if _is_compiled(sent, membrane) else counted)(
            sent.flatten(2), membrane.flatten(2)
        )
        fired, by_step, moved = found
        self.fired, self.by_step, self.moved = (
            self.fired + fired, self.by_step + by_step, self.moved + moved
        )  # fmt: skip
        self.samples += sent.shape[1]

    def told(self, counts: Counts) -> None:
        """Add what a compiled layer counted itself."""
        self.fired = self.fired + counts.fired.sum(0, dtype=np.int64)
        self.by_step, self.moved = self.by_step + counts.by_step, self.moved + counts.moved
        self.samples += len(counts.fired)

    def found(self) -> Neurons:
        """Return what it comes to."""
        neurons, steps = len(self.fired), len(self.by_step)
        silent = 1 - self.by_step / (self.samples * neurons)
        return Neurons(
            neurons=neurons,
            sparsity=float(silent.mean()),
            by_step=tuple(silent.tolist()),
            updates=float(self.moved.sum()) / self.samples,
            dead=float((self.fired == 0).mean()),
            saturated=float((self.fired == steps * self.samples).mean()),
        )


def counted(sent: Tensor, membrane: Tensor) -> tuple[Any, Any, Any]:
    """Count ``(T, B, M)`` by torch: what the compiled loop is held to.

    Returns:
        How often each neuron fired ``(M,)``, how many fired at each step ``(T,)``, and how many
        membranes each step changed ``(T,)``; all int64.
    """
    active = sent != 0
    moved = (membrane[1:] != membrane[:-1]).flatten(1).sum(1)
    first = moved.new_tensor([membrane[0].numel()])
    found = active.flatten(0, 1).sum(0), active.flatten(1).sum(1), torch.cat([first, moved])
    fired, by_step, changed = (each.cpu().numpy() for each in found)
    return fired, by_step, changed


def _is_compiled(sent: Tensor, membrane: Tensor) -> bool:
    exact = (torch.float32, torch.float64)
    return sent.device.type == "cpu" and sent.dtype == membrane.dtype and sent.dtype in exact


def _compiled(sent: Tensor, membrane: Tensor) -> tuple[Any, Any, Any]:
    from ..network.backends.compiled import counting  # imports Numba
    from ..network.backends.compiled.threads import spread

    steps, _, neurons = sent.shape
    tiles = -(-neurons // counting.TILE)
    fired = np.zeros(neurons, np.int64)
    by_step, moved = (np.zeros(tiles * steps, np.int64) for _ in range(2))
    given = [each.reshape(-1).numpy() for each in (sent, membrane)]
    shape = tuple(sent.shape)
    room = 2 * counting.TILE
    spread(counting.firing, tiles, *given, shape, fired, by_step, moved, room=room)
    return fired, by_step.reshape(tiles, steps).sum(0), moved.reshape(tiles, steps).sum(0)


def _counts_itself(layer: SpikingLayer, given: Tensor) -> bool:
    """Say whether a layer's compiled loop can count, so that nothing has to be kept for it.

    An attention before neurons has to see maps of the neurons' shape, which it does not return.
    """
    backend = resolve_backend(layer.backend, given.device, given.dtype)
    return backend == "numba" and not layer.neuron.graded and layer.attention_place != "neuron"


class NeuronCounts(Watching):
    """Counts what every layer's neurons do in the passes inside the context.

    Attributes:
        drive: by the name of each attention that stands before neurons: what is called with the
            maps that it gets, or with others of their shape.
    """

    def __init__(self, model: TransferModel) -> None:
        super().__init__(model)
        self._tallies: dict[str, _Tally] = {}
        self._pools: dict[str, int] = {}
        self._telling: dict[str, ExitStack] = {}
        self._spikes: dict[str, Tensor] = {}
        self.drive: dict[str, Callable[[Tensor], None] | None] = {
            f"{name}.attention": None
            for name, layer in self._layers.items()
            if layer.attention is not None and layer.attention_place == "neuron"
        }

    def hooks(self, name: str, layer: SpikingLayer) -> list[RemovableHandle]:
        """Register and return the hooks of one layer."""
        found = [
            layer.register_forward_pre_hook(partial(self._before, name), with_kwargs=True),
            layer.register_forward_hook(partial(self._after, name)),
        ]
        if layer.attention is not None and layer.attention_place == "spikes":
            found.append(layer.attention.register_forward_pre_hook(partial(self._attended, name)))
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        for name, pool in self._pools.items():  # of a layer that failed
            self._layers[name].pool = pool
        for stack in self._telling.values():
            stack.close()
        self._pools.clear()
        self._telling.clear()

    def found(self) -> dict[str, Neurons]:
        """Return what was counted of each layer, in their order; ReLU units have no membrane."""
        told = {}
        for name, layer in self._layers.items():
            if name in self._tallies:
                each = self._tallies[name].found()
                told[name] = replace(each, updates=0.0) if layer.neuron.kind == "relu" else each
        return told

    def _before(self, name: str, layer: SpikingLayer, args: Any, kwargs: Any) -> Any:
        given = args[0].values if isinstance(args[0], Activity) else args[0]
        if _counts_itself(layer, given) and not kwargs.get("membrane"):
            from ..network.backends.numba_fused import telling  # imports Numba

            self._telling[name] = stack = ExitStack()
            stack.enter_context(telling(self._tallies.setdefault(name, _Tally()).told))
            return None
        self._pools[name], layer.pool = layer.pool, 1
        return args, {**kwargs, "membrane": True}

    def _attended(self, name: str, _: Any, given: tuple[Tensor]) -> tuple[Tensor] | None:
        if name in self._telling:
            return None
        self._spikes[name] = given[0]
        return (self._pooled(name, given[0]),)

    def _after(self, name: str, layer: SpikingLayer, _: Any, output: LayerOutput) -> Any:
        if name in self._telling:
            self._telling.pop(name).close()
            return None
        spikes = self._spikes.pop(name, output.spikes)
        assert output.membrane is not None
        self._tallies.setdefault(name, _Tally()).add(spikes, output.membrane)
        driven = self.drive.get(f"{name}.attention")
        if driven is not None:
            driven(output.membrane)
        sent = output.activity
        if layer.attention_place != "spikes" and self._pools[name] > 1:
            sent = Activity(self._pooled(name, spikes))
        layer.pool = self._pools.pop(name)
        return LayerOutput(sent, output.membrane)

    def _pooled(self, name: str, spikes: Tensor) -> Tensor:
        """Return what the layer would have sent: averages, rounded as its backend rounds them."""
        pool, layer = self._pools[name], self._layers[name]
        average = average_pool(spikes, pool)
        backend = resolve_backend(layer.backend, spikes.device, spikes.dtype)
        if backend == "torch" or layer.neuron.graded or not pool & (pool - 1):
            return average
        unit = torch.tensor(1.0, dtype=spikes.dtype) / (pool * pool)
        return (average * (pool * pool)).round() * unit.to(spikes.device)
