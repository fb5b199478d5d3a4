"""Accuracy under the statistics of each batch, beside that under running statistics.

In: a model with batch norms and what classifies some recordings by it. Out: the share whose
class had the highest mean logit while every norm took the mean and variance of the batch, as in
training. Weights, running statistics, modes and random states of the model stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...preprocess.cache.contents import SealedCache
from ..network.model import TransferModel
from ..network.norm import StepNorm
from .metrics import BATCH, batch_of, event_batch

MOVED = ("running_mean", "running_var", "num_batches_tracked")
LEFT = 0.01
"""Share of its first values that a set of running statistics may still hold to be judged."""


def running_norms(model: nn.Module) -> list[StepNorm | _BatchNorm]:
    """Return the batch norms of a model that keep running statistics."""
    return [
        module
        for module in model.modules()
        if isinstance(module, StepNorm | _BatchNorm) and module.running_mean is not None
    ]


def first_share(model: nn.Module) -> float:
    """Return the largest share of its first values that running statistics of a model still hold.

    ``n`` updates of momentum ``m`` leave ``(1 - m)^n`` of them, for the usual 0.1 less than
    ``LEFT`` from the 44th on; a mean of all updates (``momentum=None``) leaves nothing. Sets that
    never moved, as those of a branch that is not trained, are left out; 0 where none moved.
    """
    moved = [norm for norm in running_norms(model) if _updates(norm)]
    left = [
        (1 - (1.0 if norm.momentum is None else norm.momentum)) ** _updates(norm) for norm in moved
    ]
    return max(left, default=0.0)


def _updates(norm: StepNorm | _BatchNorm) -> int:
    return int(norm.num_batches_tracked) if norm.num_batches_tracked is not None else 0


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Normalise by each batch alone while the context lasts; copies are moved in the meantime."""
    norms = running_norms(model)
    kept = [(norm.training, {name: norm._buffers[name] for name in MOVED}) for norm in norms]
    try:
        for norm, (_, buffers) in zip(norms, kept, strict=True):
            norm.training = True
            norm._buffers.update(
                (name, None if each is None else each.clone()) for name, each in buffers.items()
            )
        yield
    finally:
        for norm, (training, buffers) in zip(norms, kept, strict=True):
            norm.training = training
            norm._buffers.update(buffers)


class ByBatch(NamedTuple):
    """A part under batch statistics: the share right, and how often a batch moves one set."""

    top1: float
    updates: float


def measure_by_batch(
    model: nn.Module,
    classify: Callable[[NDArray[np.int64]], Tensor],
    labels: NDArray[np.int64],
    *,
    most: int = BATCH,
) -> ByBatch:
    """Measure a part by the statistics of its batches.

    It is shuffled, since a part is often in the order of its classes and a batch of one class
    says nothing of the others, and cut into batches of like size.

    Args:
        model: left in evaluation mode.
        classify: from places in the part to the mean logits ``(n, C)`` of one batch.
        labels: of the part, two or more.
        most: of a batch.
    """
    model.eval()
    order = np.random.default_rng(0).permutation(labels.size)
    batches = np.array_split(order, -(-labels.size // most))
    right, norms = 0, running_norms(model)
    with batch_statistics(model):
        before = [_updates(norm) for norm in norms]
        for places in batches:
            ranked = classify(places).argmax(1)
            right += int((ranked == torch.from_numpy(labels[places])).sum())
        moves = [_updates(norm) - was for norm, was in zip(norms, before, strict=True)]
    return ByBatch(right / labels.size, max(moves, default=0) / len(batches))


def event_by_batch(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> ByBatch:
    """Measure the event branch on some recordings of a cache by the statistics of its batches."""

    def classify(places: NDArray[np.int64]) -> Tensor:
        return event_batch(model, cache, indices[places], device)

    return measure_by_batch(model, classify, cache.labels[indices], most=batch_of(cache))
