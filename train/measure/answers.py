"""What a network answers on some recordings: logits of their clips, and how early it is right.

In: a model, a cache, recordings and their classes. Out: mean logits over time, from which every
metric of a part follows, and for each number of steps t whether the mean of the first t logits has
the right class highest (of equal ones the first class). After the last step that is top-1. A
network does not look ahead, so a recording that ends after t steps would be answered the same;
attention over time (ASA) does, and its answers at t know of all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocess.cache.contents import SealedCache
from ..network.model import TransferModel
from .metrics import batch_of

FrameChange = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]
"""Changes clips ``(n, clips, T, C, H, W)`` of some recordings before they are classified."""


@dataclass(frozen=True)
class Answers:
    """A network's answers on ``n`` recordings.

    Attributes:
        logits: mean over time of each clip, ``(n, clips, C)``, on the CPU.
        right_by_step: whether the mean of the first t steps, over all clips, is right, bool
            ``(n, T)``.
    """

    logits: Tensor
    right_by_step: NDArray[np.bool_]

    @property
    def by_step(self) -> tuple[float, ...]:
        """Accuracy after 1, 2, … T steps."""
        return tuple(self.right_by_step.mean(0).tolist())

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The class of highest mean logit, the first of equal ones, ``(n,)``."""
        highest: NDArray[np.int64] = self.logits.mean(1).numpy().argmax(1).astype(np.int64)
        return highest

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the mean logits, ``(n, C)``."""
        chances: NDArray[np.float64] = self.logits.mean(1).double().softmax(1).numpy()
        return chances


def answers(
    model: TransferModel,
    cache: SealedCache,
    recordings: NDArray[np.int64],
    labels: NDArray[np.int64],
    device: torch.device,
    change: FrameChange | None = None,
) -> Answers:
    """Classify some recordings by the event branch.

    Args:
        model: the network; it is put into evaluation mode.
        cache: as the recipe sees it.
        recordings: places in it, ``(n,)``, one at least.
        labels: class of each in the model's order, ``(n,)``.
        device: where the model is.
        change: what to do to the frames first.
    """
    model.eval()
    most = batch_of(cache)
    logits, right = [], []
    for start in range(0, recordings.size, most):
        part = slice(start, start + most)
        clips = cache.clips(recordings[part])
        if change is not None:
            clips = change(recordings[part], clips)
        frames = torch.from_numpy(clips)
        with torch.inference_mode():
            each = model.forward_event(frames.flatten(0, 1).to(device))
            mean = each.mean(0).float().cpu().reshape(*frames.shape[:2], -1)
            running = each.double().cumsum(0).cpu().reshape(len(each), *mean.shape).mean(2)
        logits.append(mean)
        found = labels[part, None] == running.numpy().argmax(2).T
        found[:, -1] = mean.mean(1).numpy().argmax(1) == labels[part]
        right.append(found)
    return Answers(torch.cat(logits), np.concatenate(right))
