"""Which maps count: the largest scores over channels and over time, and their combination.

In: scores ``(T, B, C)``. Out: masks of the same shape, exactly 0 or 1. Of equal scores the one
with the lowest index is taken, on every device.

The soft selection has the same masks and a gradient. It is a straight-through estimator (Bengio
et al., arXiv:1308.3432): the forward pass takes the hard mask, the backward pass the slope of

    σ(score - θ),   θ the mean of the k-th and the (k+1)-th largest score,

the sigmoid around a threshold of learnt pruning (Kim et al., *Learned Token Pruning*, KDD 2022),
with the threshold set by the count and not learnt. θ has a gradient too, so that raising all
scores alike changes nothing, as it should not.
"""

from __future__ import annotations

import torch
from torch import Tensor

TIME, CHANNELS = 0, 2


def largest(scores: Tensor, count: int, dim: int, *, soft: bool = False) -> Tensor:
    """Return the mask of the ``count`` largest scores along a dimension.

    Args:
        scores: of any shape.
        count: 0 marks none; below the dimension's length.
        dim: the dimension along which they compete.
        soft: let the gradient through.
    """
    values, indices = scores.sort(dim=dim, descending=True, stable=True)
    mask = torch.zeros_like(scores).scatter(dim, indices.narrow(dim, 0, count), 1.0)
    if not soft or count == 0:
        return mask.detach()
    threshold = values.narrow(dim, count - 1, 2).mean(dim, keepdim=True)
    relaxed = torch.sigmoid(scores - threshold)
    return (relaxed - relaxed.detach()) + mask.detach()


def combined(channels: Tensor, time: Tensor, combine: str) -> Tensor:
    """Return ``xor``, ``and`` or ``or`` of two masks of 0 and 1, differentiable in both."""
    both = channels * time
    if combine == "and":
        return both
    either = channels + time - both
    return either if combine == "or" else either - both


def important(scores: Tensor, *, lam: float, mode: str, combine: str) -> Tensor:
    """Return which maps count, ``(T, B, C)`` of 0 and 1.

    For each sample, a map counts by its score among the C of its time step, and among the T of
    its channel. With the mode ``reference`` either set is united over the whole batch, before
    the two are combined: the answer for a sample then depends on its companions.
    """
    steps, _, channels = scores.shape
    soft = mode == "trainable"
    by_channel = largest(scores, int(channels * lam), CHANNELS, soft=soft)
    by_time = largest(scores, int(steps * lam), TIME, soft=soft)
    if mode == "reference":
        by_channel = by_channel.amax(1, keepdim=True).expand_as(scores)
        by_time = by_time.amax(1, keepdim=True).expand_as(scores)
    return combined(by_channel, by_time, combine)
