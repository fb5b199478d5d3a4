"""Batches ahead of time, by worker processes where asked for.

The order of recordings and every draw are functions of the seed, the epoch and the batch's
number alone (:mod:`snntx.train.batches.training`), so batches are the same for any number of
workers.
:class:`FrameDataset` serves a cache to a training loop of one's own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...errors import SnntxError
from ...preprocess.cache.contents import SealedCache
from .batch import Batch
from .drawing import Drawn


class FrameDataset(Dataset[tuple[Tensor, int]]):
    """Some recordings of a cache as ``(frames (T, 2, H, W), class index)``.

    A ``DataLoader`` reads a whole batch in one call; handles are opened by the process that
    reads, so workers may be forked or spawned.

    Args:
        cache: the frame cache.
        indices: recordings in the cache, such as ``cache.split("holdout", "train")``.
    """

    def __init__(self, cache: SealedCache, indices: NDArray[Any] | Sequence[int]) -> None:
        self.cache = cache
        self.indices = [int(i) for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Return several recordings, read in one call."""
        chosen = [self.indices[position] for position in positions]
        frames = torch.from_numpy(self.cache.frames(chosen))
        labels = self.cache.labels[chosen].tolist()
        return list(zip(frames, labels, strict=True))


class _Epoch(Dataset[Batch | SnntxError]):
    """One epoch's batches by number; a worker makes a batch whole, or hands over why it cannot."""

    def __init__(self, data: Drawn, epoch: int, first: int) -> None:
        self._data, self._epoch, self._first = data, epoch, first
        self._order = data.order(epoch)

    def __len__(self) -> int:
        return self._data.batches - self._first

    def __getitem__(self, position: int) -> Batch | SnntxError:
        size, number = self._data.batch_size, self._first + position
        try:
            return self._data.batch(self._order[number * size :][:size], self._epoch, number)
        except SnntxError as error:
            return error


def epoch_batches(
    data: Drawn,
    epoch: int,
    *,
    first: int = 0,
    workers: int = 0,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """Yield one epoch's batches in order.

    Signals to the whole process group leave workers at work.

    Args:
        data: the training recordings.
        epoch: 0-based.
        first: batch to begin with.
        workers: processes that make batches ahead; 0 makes them in this one.
        device: where they will go; batches for CUDA are put into pinned memory.

    Raises:
        SnntxError: a batch cannot be made.
        RuntimeError: torch's, where a worker has ended (:func:`is_worker_end`).
    """
    loader = DataLoader(
        _Epoch(data, epoch, first),
        batch_size=None,
        num_workers=workers,
        pin_memory=device is not None and device.type == "cuda",
        worker_init_fn=_deaf,
        generator=torch.Generator(),  # not the global one: who starts an epoch twice, draws twice
    )
    for batch in loader:
        if isinstance(batch, SnntxError):
            raise batch
        yield batch


def is_worker_end(error: RuntimeError) -> bool:
    """Return whether an error says that a process that makes batches ahead has ended."""
    return str(error).startswith("DataLoader worker (pid")


def _deaf(_: int) -> None:
    """Let a worker outlive signals to its whole group; its parent ends it, or its parent's end.

    A second SIGTERM ends it all the same: that is how the parent ends one that hangs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) > 1:
            os._exit(0)

    signal.signal(signal.SIGTERM, hear)
