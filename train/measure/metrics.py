"""Accuracy and loss of the event branch on one part of a cache.

Logits are averaged over the time steps (He et al., AAAI 2024), and over the clips where windows of
recordings are shown; the static branch is not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...preprocess.cache.contents import SealedCache
from ..network.model import TransferModel

BATCH = 64
"""Recordings that are classified at once; the result does not depend on it."""


@dataclass(frozen=True)
class Metrics:
    """Result on one part.

    Attributes:
        recordings: how many were classified.
        top1: share whose class had the highest mean logit; of equal ones, the first class.
        top5: share whose class was among the five highest (of all, with fewer classes).
        loss: mean cross-entropy of the mean logits.
        per_class: recordings and share right of each class.
        confusion: ``(C, C)`` counts, true class by row, predicted by column.
    """

    recordings: int
    top1: float
    top5: float
    loss: float
    per_class: dict[str, tuple[int, float]]
    confusion: list[list[int]]


@dataclass(frozen=True)
class Mistake:
    """How often recordings of one class were taken for another.

    Attributes:
        true, taken: names of both classes.
        count: recordings.
        share: of the true class's recordings.
    """

    true: str
    taken: str
    count: int
    share: float


def mistakes(metrics: Metrics, classes: Sequence[str], most: int) -> list[Mistake]:
    """Return the most frequent mistakes, in falling order, equal ones in that of the classes.

    Args:
        metrics: with the confusion matrix ``(C, C)``.
        classes: names in its order.
        most: how many there are at most.
    """
    found = [
        Mistake(classes[i], classes[j], count, count / sum(row))
        for i, row in enumerate(metrics.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(found, key=lambda each: -each.count)[:most]


def event_logits(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Tensor:
    """Return the mean logits over time and clips of some recordings, ``(n, C)`` on the CPU."""
    return clip_logits(model, cache, indices, device).mean(1)


def clip_logits(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Tensor:
    """Return the mean logits over time of each clip of some recordings, ``(n, clips, C)``.

    On the CPU; a whole recording is one clip.
    """
    model.eval()
    most = batch_of(cache)
    parts = [indices[start : start + most] for start in range(0, indices.size, most)]
    return torch.cat([_clips(model.forward_event, cache, part, device) for part in parts])


def batch_of(cache: SealedCache) -> int:
    """Return how many recordings are classified at once: of many clips each, fewer."""
    return max(1, BATCH // cache.clip_count)


def event_batch(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Tensor:
    """Return the mean logits ``(n, C)`` of recordings that are classified together, as it stands.

    The model is in evaluation mode, but perhaps for its norms.
    """
    return _clips(model.forward_event, cache, indices, device).mean(1)


def static_head_batch(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Tensor:
    """Return the same by the static head, which is shown the event frames."""
    return _clips(model.forward_static, cache, indices, device).mean(1)


def _clips(
    forward: Callable[[Tensor], Tensor],
    cache: SealedCache,
    indices: NDArray[np.int64],
    device: torch.device,
) -> Tensor:
    """Return the mean logits ``(n, clips, C)`` of clips that are classified together."""
    with torch.inference_mode():
        clips = torch.from_numpy(cache.clips(indices))
        logits = forward(clips.flatten(0, 1).to(device)).mean(0).float().cpu()
        return logits.reshape(*clips.shape[:2], -1)


def measure(logits: Tensor, labels: NDArray[np.int64], classes: list[str]) -> Metrics:
    """Return the metrics of ``logits (n, C)`` against class indices ``(n,)``."""
    target = torch.from_numpy(labels)
    ranked = logits.sort(stable=True, dim=1, descending=True).indices[:, :5]
    right = ranked == target[:, None]
    first = right[:, 0]
    confusion = torch.zeros(len(classes), len(classes), dtype=torch.long)
    confusion.index_put_((target, ranked[:, 0]), torch.ones_like(target), accumulate=True)
    per_class = {}
    for label in np.unique(labels).tolist():
        members = target == label
        per_class[classes[label]] = (int(members.sum()), float(first[members].double().mean()))
    return Metrics(
        recordings=len(labels),
        top1=float(first.double().mean()),
        top5=float(right.any(1).double().mean()),
        loss=float(F.cross_entropy(logits, target)),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def evaluate_part(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Metrics:
    """Classify some recordings of a cache and measure the result."""
    logits = event_logits(model, cache, indices, device)
    return measure(logits, cache.labels[indices], cache.classes)
