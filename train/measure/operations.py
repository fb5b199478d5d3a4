"""What a network's event branch costs: spikes, synaptic operations and membrane updates.

In: a model, over the forward passes inside a context. Out: numbers under the names of NeuroBench
(Yik et al., arXiv:2304.04640, version 2.3), counted from what every layer really got and sent over
all of the passes. A value that is not 0 causes as many operations as it has outputs
(:mod:`.fanout`). They are accumulations (ACs) where all values that a layer ever got are 0, 1 or
-1, and multiplications too (MACs) where any is another number: frames of counts, averages of a
pool, what an attention scaled, sums of spikes. The judgement is of the layer and not, as in
NeuroBench, of each call, so that no result depends on the batches.

An attention's own maps are real numbers; its convolutions and linear maps are MACs and counted as
dense. A membrane is updated where a step leaves another number than the step before; the first
step's updates are all neurons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ...errors import SnntxError
from ..network.attention.asa import ASA
from ..network.model import TransferModel
from .fanout import Counter, fan_out
from .neurons import NeuronCounts, Neurons

_SYNAPSES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CALLS = {
    functional.linear: 1,
    functional.conv1d: 2,
    functional.conv2d: 3,
    functional.conv3d: 4,
}
"""Operations of torch that synapse layers come down to, with the dimensions of a sample's input."""
_UNUSED = ("static_head", "coefficient")
"""First parts of the names of what the event branch does not need."""


@dataclass(frozen=True)
class Synapses:
    """What one synapse layer got, and did for a sample.

    Attributes:
        binary: whether it got 0, 1 and -1 alone, so that its operations are ACs and not MACs.
        effective: operations of a sample.
        by_step: the same of each step.
        dense: operations of a sample if every value and every weight counted.
    """

    binary: bool
    effective: float
    by_step: tuple[float, ...]
    dense: float


@dataclass(frozen=True)
class Operations:
    """What the event branch costs; operations and updates are those of a sample, all T steps.

    Attributes:
        samples: passes: recordings, or clips where windows of them are shown.
        footprint: bytes of the parameters and buffers of the event branch.
        connection_sparsity: share of its synapses' weights that are 0.
        activation_sparsity: share of all neurons, steps and samples in which nothing was sent.
        macs: effective operations on other numbers than 0, 1 and -1, those of attention included.
        acs: effective operations on 0, 1 and -1.
        dense: operations if every value and every weight counted.
        membrane_updates: membranes that changed.
        synapses: by name, in the order in which they ran.
        layers: neurons by the name of their layer, in order.
        attention: MACs of each attention, in ``macs`` and ``dense``.
        uncounted: weights whose layers ran in no pass, or not through an operation that is known.
    """

    samples: int
    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    macs: float
    acs: float
    dense: float
    membrane_updates: float
    synapses: dict[str, Synapses]
    layers: dict[str, Neurons]
    attention: dict[str, float]
    uncounted: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values under NeuroBench's names, with the layers behind them."""
        return {
            "samples": self.samples,
            "Footprint": self.footprint,
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "SynapticOperations": {
                "Effective_MACs": self.macs,
                "Effective_ACs": self.acs,
                "Dense": self.dense,
            },
            "MembraneUpdates": self.membrane_updates,
            "synapses": {
                name: {
                    "operations": "ACs" if each.binary else "MACs",
                    "effective": each.effective,
                    "by_step": list(each.by_step),
                    "Dense": each.dense,
                }
                for name, each in self.synapses.items()
            },
            "neurons": {
                name: {
                    "neurons": each.neurons,
                    "ActivationSparsity": each.sparsity,
                    "sparsity_by_step": list(each.by_step),
                    "MembraneUpdates": each.updates,
                    "dead": each.dead,
                    "saturated": each.saturated,
                }
                for name, each in self.layers.items()
            },
            "attention_MACs": self.attention,
            "uncounted": list(self.uncounted),
        }


class _Tally:
    """One synapse layer's sums over the passes."""

    def __init__(self, steps: int, counter: Counter) -> None:
        self.counter, self.strange, self.rows, self.dense = counter, 0, 0, 0
        self.by_step = torch.zeros(steps, dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        caused, strange = self.counter.count(values)
        self.by_step += caused.view(len(self.by_step), -1).sum(1)
        self.strange += strange
        self.rows += len(caused)
        self.dense += len(caused) * self.counter.fan.dense


class OperationCounts(TorchFunctionMode):
    """Counts what a model does in the event passes inside the context (:class:`Operations`).

    Layers are told by their weights, in whatever way they are called. The network's outputs are
    those without it: a layer that pools is asked for its neurons' own spikes, which are pooled
    behind it.

    Args:
        model: in evaluation mode; only its event branch is to be run.
    """

    def __init__(self, model: TransferModel) -> None:
        super().__init__()
        self._model, self._steps = model, model.steps
        self._neurons = NeuronCounts(model)
        self._asa = {n: m for n, m in model.named_modules() if isinstance(m, ASA)}
        inside = {id(each) for asa in self._asa.values() for each in asa.parameters()}
        self._names = {
            id(module.weight): name
            for name, module in model.named_modules()
            if isinstance(module, _SYNAPSES) and id(module.weight) not in inside
        }
        self._tallies: dict[tuple[str, tuple[int, ...]], _Tally] = {}
        self._attended: dict[str, int] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        self._neurons.__enter__()
        direct = self._neurons.drive
        for name, asa in self._asa.items():
            if name in direct:  # which its layer calls without hooks
                direct[name] = partial(self._attends, name)
            else:
                seen = partial(self._attends, name)
                hook = asa.register_forward_pre_hook(lambda _, given, f=seen: f(given[0]))
                self._hooks.append(hook)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]
        self._neurons.__exit__(kind, error, traceback)
        while self._hooks:
            self._hooks.pop().remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _CALLS:
            self._called(func, args, kwargs)
        return func(*args, **kwargs)

    def _called(self, func: Any, args: Any, kwargs: Any) -> None:
        given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
        values, weight = given["input"], given["weight"]
        name = self._names.get(id(weight))
        if name is None:
            return
        shape = tuple(values.shape[-_CALLS[func] :])
        if values.numel() // math.prod(shape) % self._steps:
            found = "x".join(map(str, values.shape))
            raise SnntxError(
                f"layer {name}: gets {found}, expected {self._steps} steps of one batch; "
                "operations are counted of sequences alone"
            )
        if (name, shape) not in self._tallies:
            named = {k: v for k, v in kwargs.items() if k not in ("input", "weight", "bias")}
            fan = fan_out(func, shape, weight, args[3:], named)
            self._tallies[name, shape] = _Tally(self._steps, Counter(fan))
        self._tallies[name, shape].add(values)

    def _attends(self, name: str, maps: Tensor) -> None:
        """Count an attention's own linear maps and convolutions on maps ``(T, B, C, H, W)``."""
        asa, (_, batch, channels, *size) = self._asa[name], maps.shape
        scoring = sum(each.weight.numel() for each in asa.modules() if isinstance(each, nn.Linear))
        spatial = sum(
            fan_out(functional.conv2d, (2, *size), each.weight, (1, each.padding)).dense
            for each in (asa.conv1, asa.conv2)
        )
        self._attended[name] = self._attended.get(name, 0) + batch * (channels * scoring + spatial)

    def operations(self) -> Operations:
        """Return what was counted.

        Raises:
            SnntxError: nothing ran.
        """
        if not self._tallies:
            raise SnntxError(f"model {self._model.name}: no pass was counted")
        samples = max(tally.rows for tally in self._tallies.values()) // self._steps
        synapses = {}
        for name in dict.fromkeys(name for name, _ in self._tallies):
            parts = [tally for (whose, _), tally in self._tallies.items() if whose == name]
            by_step = torch.stack([each.by_step for each in parts]).sum(0)
            synapses[name] = Synapses(
                binary=not any(each.strange for each in parts),
                effective=int(by_step.sum()) / samples,
                by_step=tuple((by_step / samples).tolist()),
                dense=sum(each.dense for each in parts) / samples,
            )
        attention = {name: count / samples for name, count in self._attended.items()}
        layers = self._neurons.found()
        every = sum(each.neurons for each in layers.values())
        silent = sum(each.neurons * each.sparsity for each in layers.values())
        spent = sum(attention.values())
        return Operations(
            samples=samples,
            footprint=_footprint(self._model),
            connection_sparsity=_connection_sparsity(self._model),
            activation_sparsity=silent / every if every else 0.0,
            macs=spent + sum(each.effective for each in synapses.values() if not each.binary),
            acs=sum(each.effective for each in synapses.values() if each.binary),
            dense=spent + sum(each.dense for each in synapses.values()),
            membrane_updates=sum(each.updates for each in layers.values()),
            synapses=synapses,
            layers=layers,
            attention=attention,
            uncounted=self._uncounted(synapses),
        )

    def _uncounted(self, synapses: dict[str, Synapses]) -> tuple[str, ...]:
        counted = {id(self._model.get_submodule(name).weight) for name in synapses}
        counted |= {id(each) for asa in self._asa.values() for each in asa.parameters()}
        return tuple(
            name
            for name, each in _needed(self._model, self._model.named_parameters())
            if each.ndim > 1 and id(each) not in counted
        )


def _needed(model: nn.Module, named: Any) -> Any:
    return ((name, each) for name, each in named if name.split(".")[0] not in _UNUSED)


def _footprint(model: nn.Module) -> int:
    every = [*_needed(model, model.named_parameters()), *_needed(model, model.named_buffers())]
    return sum(each.numel() * each.element_size() for _, each in every)


def _connection_sparsity(model: nn.Module) -> float:
    weights = [
        module.weight
        for _, module in _needed(model, model.named_modules())
        if isinstance(module, _SYNAPSES)
    ]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)
