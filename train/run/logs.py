"""What a run writes while it trains: ``log.jsonl``, one line an epoch, and TensorBoard files.

Both count epochs from 1. TensorBoard gets, an epoch: every loss term and accuracy, the
replacement probability, the
sigmoid of each step's coefficient, CKA of each step, firing rates of each layer, throughput
and memory.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...errors import UsageError
from ..checkpoints.names import EVENTS, LOG

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def peak_memory_mib(device: torch.device) -> float:
    """Return the most memory held so far: of the device on CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def wants_tensorboard(asked: bool | str, say: Callable[[str], None]) -> bool:
    """Return whether to write TensorBoard files.

    Args:
        asked: true, false, or ``auto`` for where it is installed.
        say: told in one line where ``auto`` finds none.

    Raises:
        UsageError: true, and it is not installed.
    """
    if asked is False or importlib.util.find_spec("tensorboard") is not None:
        return bool(asked)
    how = "pip install 'snntx[tensorboard]'"
    if asked is True:
        raise UsageError(
            f"tensorboard = true, but TensorBoard is not installed: {how}, or set tensorboard=false"
        )
    say(f"TensorBoard is not installed, so its files are not written ({how})")
    return False


class RunLog:
    """The log of one run; a second process of the same run writes nothing.

    Args:
        out: run directory.
        start: epochs that an earlier part of the run has logged.
        tensorboard: write TensorBoard files too.
    """

    def __init__(self, out: Path, start: int, *, tensorboard: bool) -> None:
        self._out, self._start, self._tensorboard = out, start, tensorboard
        self._writer: SummaryWriter | None = None

    def has(self, name: str) -> bool:
        """Return whether an epoch's record has this entry, whichever start wrote it."""
        path = self._out / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return any(name in json.loads(line) for line in lines)

    def epoch(self, record: dict[str, Any]) -> None:
        """Write one finished epoch."""
        with (self._out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        if self._tensorboard and self._writer is None:
            self._writer = self._opened()
        if self._writer is not None:
            self._add(self._writer, record)
            self._writer.flush()

    def _opened(self) -> SummaryWriter:
        """Return what writes on; files of release 0.1, from step 0, are written anew by the log."""
        from torch.utils.tensorboard import SummaryWriter

        stale = list(self._out.glob(f"{EVENTS}*")) if self._start and self._from_0() else []
        for path in stale:
            path.unlink()
        writer = SummaryWriter(str(self._out), purge_step=self._start + 1)
        if stale:
            lines = (self._out / LOG).read_text(encoding="utf-8").splitlines()
            for record in map(json.loads, lines):
                if record["epoch"] <= self._start:
                    self._add(writer, record)
        return writer

    def _from_0(self) -> bool:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self._out), size_guidance={"scalars": 0}).Reload()
        return any(events.Scalars(tag)[0].step == 0 for tag in events.Tags()["scalars"][:1])

    def _add(self, writer: SummaryWriter, record: dict[str, Any]) -> None:
        scalars = {f"train/{name}": value for name, value in record["train"].items()}
        scalars |= {
            f"{record['selection']['part']}/{name}": value
            for name, value in record["selection"].items()
            if name != "part"
        }
        scalars |= {f"coefficient/{t}": c for t, c in enumerate(record["coefficient"])}
        scalars |= {f"cka/{t}": c for t, c in enumerate(record.get("cka", []))}
        scalars |= {f"firing rate/{name}": rate for name, rate in record["rates"].items()}
        for name in ("lr", "P", "recordings_per_second", "peak_memory_mib", "seconds"):
            scalars[f"run/{name}"] = record[name]
        for name, value in scalars.items():
            writer.add_scalar(name, value, record["epoch"])

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
