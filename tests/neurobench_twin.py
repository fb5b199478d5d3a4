"""A network of snnTorch, measured by NeuroBench: run by a Python that has both, and no snntx.

    python neurobench_twin.py NETWORK.npz

The file holds frames ``(N, T, 2, H, W)``, the weights of two convolutions with padding 1, a hidden
layer with bias and a head with bias, and ``stride`` and ``threshold``. Prints JSON: NeuroBench's
numbers, the bytes of all buffers at rest, and the network's mean outputs.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Wide(nn.Module):
    """Makes spikes float64 again: snnTorch fires in float32."""

    def forward(self, spikes: Tensor) -> Tensor:
        """Return the same numbers."""
        return spikes.double()


def network(stored: Any) -> nn.Module:
    """Return the network, in float64; τ is 2, and neurons reset to 0 in the step that fires."""
    leaky = importlib.import_module("snntorch").Leaky
    weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
    stride = int(stored["stride"])

    def neurons() -> list[nn.Module]:
        fire = leaky(
            beta=0.5,
            threshold=float(stored["threshold"]),
            init_hidden=True,
            reset_mechanism="zero",
            reset_delay=False,
        )
        return [fire, Wide()]

    def convolution(name: str, stride: int) -> nn.Conv2d:
        outputs, inputs, *_ = weights[name].shape
        made = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False).double()
        made.weight.data = weights[name]
        return made

    def linear(name: str) -> nn.Linear:
        made = nn.Linear(*weights[name].shape[::-1]).double()
        made.weight.data, made.bias.data = weights[name], weights[f"{name}_bias"]
        return made

    first, second = convolution("first", 1), convolution("second", stride)
    hidden, head = linear("hidden"), linear("head")
    pool, flat = nn.AvgPool2d(2), nn.Flatten()
    layers = [first, *neurons(), second, *neurons(), pool, flat, hidden, *neurons(), head]
    return nn.Sequential(*layers).double()


class Stepped(nn.Module):
    """Runs a network over the steps of ``(B, T, ...)`` from rest; ``(T, B, C)`` comes out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames: Tensor) -> Tensor:
        """Return the outputs of every step."""
        importlib.import_module("snntorch.utils").reset(self.net)
        return torch.stack([self.net(frame) for frame in frames.unbind(1)])


def main(path: str) -> None:
    """Measure, and print."""
    stored = np.load(path)
    part = importlib.import_module
    workload, static = part("neurobench.metrics.workload"), part("neurobench.metrics.static")
    net = Stepped(network(stored))
    model = part("neurobench.models").SNNTorchModel(net, custom_forward=True)
    frames = torch.from_numpy(stored["frames"])
    data = torch.utils.data.TensorDataset(frames, torch.zeros(len(frames)))
    outputs: list[Tensor] = []

    def keep(found: Tensor) -> Tensor:
        outputs.append(found.mean(1))
        return found

    benchmark = part("neurobench.benchmarks").Benchmark(
        model,
        torch.utils.data.DataLoader(data, batch_size=4),
        [],
        [keep],
        [
            [static.Footprint, static.ConnectionSparsity],
            [
                workload.ActivationSparsity,
                workload.SynapticOperations,
                workload.MembraneUpdates,
            ],
        ],
    )
    buffers = sum(each.numel() * each.element_size() for each in net.buffers())
    with torch.no_grad():
        found = benchmark.run(quiet=True)
    told = {**found, "buffers": buffers, "outputs": torch.cat(outputs).tolist()}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
