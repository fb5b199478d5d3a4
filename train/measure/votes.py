"""Recordings judged by their clips' votes: right where more than half of its clips are right.

In: the mean logits of each clip ``(n, clips, C)`` and class indices ``(n,)``. Out: which clips and
which recordings are right. That is how Yao et al. (ICCV 2023) count: 5 right clips of 10 are too
few, and which classes the wrong ones go to does not matter. :mod:`snntx.train.measure.metrics`
takes the mean of the clips' logits instead.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocess.cache.contents import SealedCache
from ..network.model import TransferModel
from .metrics import Metrics, clip_logits, measure


@dataclass(frozen=True)
class Votes:
    """Result on one part by its clips' votes.

    Attributes:
        clips: of each recording.
        top1: share of the recordings more than half of whose clips are right.
        clip_top1: share of all clips that are right.
    """

    clips: int
    top1: float
    clip_top1: float


def right_clips(logits: Tensor, labels: NDArray[np.int64]) -> Tensor:
    """Return which clips are right, bool ``(n, clips)``; of equal logits the first class counts."""
    first = logits.sort(stable=True, dim=-1, descending=True).indices[..., 0]
    return first == torch.from_numpy(labels)[:, None]


def majority(right: Tensor) -> Tensor:
    """Return which recordings have more than half of their clips right, bool ``(n,)``."""
    return 2 * right.sum(1) > right.shape[1]


def votes_of(logits: Tensor, labels: NDArray[np.int64]) -> Votes:
    """Return the votes of ``logits (n, clips, C)`` for class indices ``(n,)``."""
    right = right_clips(logits, labels)
    return Votes(
        clips=logits.shape[1],
        top1=float(majority(right).double().mean()),
        clip_top1=float(right.double().mean()),
    )


def evaluate_clips(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> tuple[Metrics, Votes | None]:
    """Classify some recordings of a cache once, and measure both results.

    Returns:
        The result by mean logits, and that by votes; None where recordings are shown whole.
    """
    logits = clip_logits(model, cache, indices, device)
    return judge_clips(logits, cache.labels[indices], cache.classes, cache.windows is not None)


def judge_clips(
    logits: Tensor, labels: NDArray[np.int64], classes: list[str], windows: bool
) -> tuple[Metrics, Votes | None]:
    """Return the result of ``logits (n, clips, C)`` by their mean, and by votes of ``windows``."""
    found = measure(logits.mean(1), labels, classes)
    return found, votes_of(logits, labels) if windows else None


def evaluate_by_votes(
    model: TransferModel, cache: SealedCache, indices: NDArray[np.int64], device: torch.device
) -> Metrics:
    """Return the metrics by mean logits with ``top1`` by votes; of whole recordings they agree."""
    found, votes = evaluate_clips(model, cache, indices, device)
    return found if votes is None else dataclasses.replace(found, top1=votes.top1)
