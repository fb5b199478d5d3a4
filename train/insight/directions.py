"""Directions in the space of weights that are comparable between networks, and ways along them.

In: a network and a seed. Out: filter-normalised directions (Li et al., *Visualizing the Loss
Landscape of Neural Nets*, NeurIPS 2018, section 4): ``d`` is drawn from a normal distribution, and
each filter ``d_i`` of it is made as long as the network's, ``d_i ← d_i / |d_i| · |w_i|``. A filter
is one output of a convolution or a linear map. Biases, norms, and numbers of neurons such as a
learnt leak stay where they are, unless the norms are asked for: there each value is a filter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..measure.batch_statistics import MOVED, running_norms
from ..network.norm import StepNorm

Direction = dict[str, Tensor]
"""Of each parameter that moves, by name, float64 on the CPU."""


def draw_direction(model: nn.Module, seed: int, *, norms: bool = False) -> Direction:
    """Return a filter-normalised direction; the same for a seed on every machine.

    Args:
        model: whose weights are the origin.
        seed: of the draw.
        norms: whether scale and shift of the norms move too.
    """
    draw = torch.Generator().manual_seed(seed)
    kinds = (StepNorm, _BatchNorm)
    of_norms = {
        f"{name}.{key}" if name else key
        for name, module in model.named_modules()
        if isinstance(module, kinds)
        for key, _ in module.named_parameters(recurse=False)
    }
    found = {}
    for name, weight in model.named_parameters():
        drawn = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
        origin = weight.detach().cpu().double()
        if weight.ndim > 1:
            long, wanted = drawn.flatten(1).norm(dim=1), origin.flatten(1).norm(dim=1)
            ratio = torch.where(long > 0, wanted / long.clamp_min(1e-300), 0)
            found[name] = drawn * ratio.view(-1, *[1] * (weight.ndim - 1))
        elif norms and name in of_norms:
            found[name] = drawn.sign() * origin.abs()
    return found


class Origin:
    """A network's weights and running statistics, from which it is moved and set back.

    Args:
        model: stays where the last move put it until it is set back.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        self._buffers = {name: b.detach().clone() for name, b in model.named_buffers()}

    @torch.no_grad()
    def move(self, directions: Sequence[Direction], coordinates: Sequence[float]) -> None:
        """Set weights to origin + Σ coordinate · direction, summed in float64; statistics back."""
        for name, parameter in self._model.named_parameters():
            origin = self._weights[name]
            steps = [
                at * direction[name]
                for at, direction in zip(coordinates, directions, strict=True)
                if name in direction and at
            ]
            moved = origin.cpu().double() + sum(steps) if steps else origin
            parameter.copy_(moved.to(parameter))
        for name, buffer in self._model.named_buffers():
            buffer.copy_(self._buffers[name])


@contextmanager
def remade_statistics(model: nn.Module) -> Iterator[None]:
    """Make running statistics anew of the batches that are shown in the context.

    They are the running mean of training, whose first value weighs nothing: with ``n`` updates of
    momentum ``m`` from 0, ``r / (1 - (1 - m)^n)``. Nothing else of the model is in training.
    """
    norms = running_norms(model)
    before = [norm.training for norm in norms]
    try:
        for norm in norms:
            norm.training = True
            for name in MOVED:
                norm._buffers[name].zero_()  # type: ignore[union-attr]
        yield
    finally:
        for norm, training in zip(norms, before, strict=True):
            norm.training = training
    for norm in norms:
        updates = int(norm.num_batches_tracked or 0)
        if norm.momentum is not None and updates:
            share = 1 - (1 - norm.momentum) ** updates
            for name in MOVED[:2]:
                norm._buffers[name].div_(share)  # type: ignore[union-attr]
