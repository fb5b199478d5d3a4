"""What an augmentation is: one of three kinds, registered under its name.

- A plain function ``(frames, draw) -> frames`` changes frames ``(B, T, 2, H, W)``, which it leaves
  as they are, by draws of a ``numpy.random.Generator``. Most are of this kind.
- :class:`Moving` says where each pixel comes from, so that all geometry is one read of the frames.
- :class:`Mixing` mixes recordings and their labels; one of them at most.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..recipe.inputs import Augment
from .geometry import Size

Changing = Callable[[Tensor, np.random.Generator], Tensor]


class Mixture(NamedTuple):
    """Second labels of a batch: ``other`` ``(B,)`` and the first's ``share`` ``(B,)`` in [0, 1]."""

    other: Tensor
    share: Tensor


class Batches(NamedTuple):
    """Shape of a batch of frames: recordings, steps, ``(H, W)``, and the device they are on."""

    batch: int
    steps: int
    size: Size
    device: torch.device


class Moving(ABC):
    """An augmentation that is a map of pixels (:mod:`snntx.train.augment.geometry`)."""

    @abstractmethod
    def __call__(
        self, draw: np.random.Generator, frames: Batches, settings: Augment
    ) -> tuple[Tensor, Tensor | None]:
        """Return the map ``(B, H, W)``, and the steps to keep ``(B, T)`` or None for all."""


class Mixing(ABC):
    """An augmentation that mixes each recording with another of its batch."""

    @abstractmethod
    def __call__(
        self, frames: Tensor, labels: Tensor, draw: np.random.Generator, settings: Augment
    ) -> tuple[Tensor, Mixture]:
        """Return mixed frames ``(B, T, 2, H, W)`` and the second labels with their shares."""


Augmentation = Changing | Moving | Mixing
