"""Several processes that share each batch, started by ``torchrun -m snntx train …``.

Every process draws the same batches and takes its own part of each; gradients are averaged
(``DistributedDataParallel``; NCCL on CUDA, gloo on the CPU). The loss of a linear network
without normalisation is then that of one process with the whole batch. It is not where
something is taken over samples: CKA is taken over each process's part, and so are batch
norm's statistics; running statistics are those of the first process. Statistics over all
processes (SyncBatchNorm) do not exist for the per-step norm.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from ...errors import UsageError
from ..batches.batch import Batch


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device here; use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@dataclass(frozen=True)
class Group:
    """The processes of a run: this one's rank, how many there are, where this one computes."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """Return this process's part of a batch."""
        return batch if self.size == 1 else batch.split(self.size)[self.rank]

    def mean(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Return the means over all processes, with one wait for the device."""
        together = torch.stack(
            [
                torch.as_tensor(value, dtype=torch.float32).to(self.device)
                for value in values.values()
            ]
        )
        if self.size > 1:
            dist.all_reduce(together)
            together /= self.size
        return dict(zip(values, together.tolist(), strict=True))

    def same(self, value: object) -> object:
        """Return the first process's value."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            dist.barrier()


def is_first() -> bool:
    """Return whether this process is the one of a run that reports."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the processes that torchrun started, or be alone.

    Raises:
        UsageError: there are more processes on this machine than CUDA devices.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(device=device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"torchrun started process {local + 1} on this machine, which has "
                f"{torch.cuda.device_count()} CUDA devices; lower --nproc-per-node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(rank, size, device)
    finally:
        gc.collect()  # what still holds the group goes first: left for the process's end, it aborts
        dist.destroy_process_group()
