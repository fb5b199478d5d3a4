"""Batch normalisation of sequences, step by step or over all steps at once.

Statistics are those of the batch in training, and running ones in evaluation. Running
statistics move once for each group of steps that share statistics, in the order of the steps,
with momentum 0.1: ``r = 0.9 r + 0.1 s``; the variance that they follow is unbiased.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from .recompute import recomputing


class StepNorm(nn.Module):
    """Parameters and running statistics of a batch normalisation over C channels.

    Called on ``(T, B, C, ...)``, it normalises each step by itself, or all ``merged``.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    eps = 1e-5
    momentum = 0.1

    def __init__(self, channels: int, *, merged: bool = False) -> None:
        super().__init__()
        self.num_features, self.merged = channels, merged
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, currents: Tensor) -> Tensor:
        """Return the normalised currents, same shape."""
        return torch.stack(list(normalised_steps(self, currents)))

    def extra_repr(self) -> str:
        """Return the number of channels and how statistics are taken."""
        return f"{self.num_features}, merged={self.merged}"


def normalised_steps(norm: StepNorm | None, currents: Tensor) -> Iterator[Tensor]:
    """Yield each step's normalised currents ``(B, C, ...)`` of ``(T, B, C, ...)``."""
    if norm is None:
        yield from currents.unbind()
    elif norm.merged:
        flat = _normalise(norm, currents.flatten(0, 1))
        yield from flat.view(currents.shape).unbind()
    else:
        for current in currents.unbind():
            yield _normalise(norm, current)


def _normalise(norm: StepNorm, current: Tensor) -> Tensor:
    """Normalise ``(N, C, ...)`` over its samples and pixels."""
    # run again, it must keep as many tensors as before and move no statistic: clones are moved
    frozen = norm.training and recomputing()
    if norm.training and not frozen:
        norm.num_batches_tracked.add_(1)
    return functional.batch_norm(
        current,
        norm.running_mean.clone() if frozen else norm.running_mean,
        norm.running_var.clone() if frozen else norm.running_var,
        norm.weight,
        norm.bias,
        norm.training,
        norm.momentum,
        norm.eps,
    )


@torch.no_grad()
def update_running(norm: StepNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics by those of G groups, in order, unless recomputing.

    Args:
        norm: whose.
        mean: ``(G, C)``.
        variance: ``(G, C)``, biased.
        count: samples and pixels of a channel in all groups together.
    """
    if recomputing():
        return
    groups = len(mean)
    each = count // groups
    ages = torch.arange(groups - 1, -1, -1, device=mean.device)
    shares = (norm.momentum * (1 - norm.momentum) ** ages).to(mean.dtype)
    kept = (1 - norm.momentum) ** groups
    norm.running_mean.mul_(kept).add_(shares @ mean)
    norm.running_var.mul_(kept).add_(shares @ variance, alpha=each / (each - 1))
    norm.num_batches_tracked.add_(groups)
