"""Batch normalisation of sequences, step by step or over all steps at once.

Statistics are those of the batch in training, and running ones in evaluation, with momentum
0.1: ``r = 0.9 r + 0.1 s``; the variance that they follow is unbiased.

====================  ===================  ======================================================
norm                  normalised over      running statistics
====================  ===================  ======================================================
``per-step``          each step            one set, moved by each step in turn: T times a batch
                                           (He et al., AAAI 2024)
``per-step-own``      each step            a set for each step, moved once a batch
``per-step-pooled``   each step            one set, moved once a batch by all steps together
``merged``            all steps together   one set, moved once a batch
====================  ===================  ======================================================

With ``per-step`` the set is owned by the last steps, 0.9^T of it being older than a batch, and
serves every step in evaluation. ``per-step-own`` and ``per-step-pooled`` are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from .recompute import recomputing

KINDS = ("per-step", "per-step-own", "per-step-pooled", "merged")


class StepNorm(nn.Module):
    """Parameters and running statistics of a batch normalisation over C channels.

    Called on ``(T, B, C, ...)``.

    Args:
        channels: C.
        kind: one of ``KINDS``.
        steps: T; only ``per-step-own`` needs it.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    eps = 1e-5
    momentum = 0.1

    def __init__(self, channels: int, kind: str = "per-step", steps: int = 1) -> None:
        super().__init__()
        self.num_features, self.kind = channels, kind
        shape = (steps, channels) if kind == "per-step-own" else (channels,)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, currents: Tensor) -> Tensor:
        """Return the normalised currents, same shape."""
        return torch.stack(list(normalised_steps(self, currents)))

    def groups(self, steps: int) -> int:
        """Return how many groups of a sequence's steps have statistics of their own."""
        by_step = self.kind == "per-step-own" or (self.training and self.kind != "merged")
        return steps if by_step else 1

    def running(self) -> tuple[Tensor, Tensor]:
        """Return running mean and variance by group, ``(G, C)``."""
        return self.running_mean.view(-1, self.num_features), self.running_var.view(
            -1, self.num_features
        )

    def extra_repr(self) -> str:
        """Return the number of channels and how statistics are taken."""
        return f"{self.num_features}, {self.kind}"


def normalised(norm: StepNorm, currents: Tensor) -> Tensor:
    """Return the normalised currents ``(T, B, C, ...)``, in the order in which they lie."""
    if norm.kind == "merged":
        flat = _normalise(norm, currents.flatten(0, 1), norm.running_mean, norm.running_var)
        return flat.view(currents.shape)
    return torch.cat(list(normalised_steps(norm, currents))).view(currents.shape)


def normalised_steps(norm: StepNorm | None, currents: Tensor) -> Iterator[Tensor]:
    """Yield each step's normalised currents ``(B, C, ...)`` of ``(T, B, C, ...)``."""
    if norm is None:
        yield from currents.unbind()
    elif norm.kind == "merged":
        yield from normalised(norm, currents).unbind()
    elif norm.kind == "per-step-pooled" and norm.training:
        _follow(norm, currents)
        for current in currents.unbind():
            yield functional.batch_norm(
                current, None, None, norm.weight, norm.bias, True, norm.momentum, norm.eps
            )
    else:
        own = norm.kind == "per-step-own"
        for step, current in enumerate(currents.unbind()):
            mean = norm.running_mean[step] if own else norm.running_mean
            variance = norm.running_var[step] if own else norm.running_var
            yield _normalise(norm, current, mean, variance, counted=not own or step == 0)


def _normalise(
    norm: StepNorm, current: Tensor, mean: Tensor, variance: Tensor, *, counted: bool = True
) -> Tensor:
    """Normalise ``(N, C, ...)`` over its samples and pixels; moves the statistics given."""
    # run again, it must keep as many tensors as before and move no statistic: clones are moved
    frozen = norm.training and recomputing()
    if norm.training and not frozen and counted:
        norm.num_batches_tracked.add_(1)
    return functional.batch_norm(
        current,
        mean.clone() if frozen else mean,
        variance.clone() if frozen else variance,
        norm.weight,
        norm.bias,
        norm.training,
        norm.momentum,
        norm.eps,
    )


@torch.no_grad()
def _follow(norm: StepNorm, currents: Tensor) -> None:
    """Move the running statistics by those of each step of ``(T, B, C, ...)``."""
    flat = currents.transpose(1, 2).flatten(2)
    variance, mean = torch.var_mean(flat, dim=2, correction=0)
    update_running(norm, mean, variance, currents.numel() // norm.num_features)


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
    if norm.kind == "per-step-pooled":  # the variance of all steps together, about their mean
        variance = variance.mean(0, keepdim=True) + mean.var(0, correction=0, keepdim=True)
        mean, groups = mean.mean(0, keepdim=True), 1
    each = count // groups
    if norm.kind == "per-step-own":
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
        unbiased = variance * (each / (each - 1))
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)
        norm.num_batches_tracked.add_(1)
        return
    ages = torch.arange(groups - 1, -1, -1, device=mean.device, dtype=mean.dtype)
    shares = norm.momentum * (1 - norm.momentum) ** ages
    kept = (1 - norm.momentum) ** groups
    norm.running_mean.mul_(kept).add_(shares @ mean)
    norm.running_var.mul_(kept).add_(shares @ variance, alpha=each / (each - 1))
    norm.num_batches_tracked.add_(groups)
