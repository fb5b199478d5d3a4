"""A device as the parts use it: clocks, memory, and what happens when memory runs out.

In: a device. Out: milliseconds (CUDA events where there is CUDA, after a step that warms up),
MiB, and None for what did not fit into the memory.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


@dataclass(frozen=True)
class Machine:
    """Where a part computes.

    Attributes:
        device: CUDA, or the CPU for the same way at tiny sizes.
        rounds: turns of every contender, at least one.
        steps: timed steps of a turn.
    """

    device: torch.device
    rounds: int = 7
    steps: int = 3

    @property
    def tiny(self) -> bool:
        """Whether sizes are tiny, and kernels interpreted."""
        return self.device.type != "cuda"

    def free(self) -> None:
        """Give back what nothing holds any more."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()

    def fitting(self, work: Callable[[], Result]) -> Result | None:
        """Return what work returns; None where the device's memory did not hold it."""
        try:
            result = work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return result
        except Exception as error:
            if not ran_out(error):
                raise
        self.free()  # outside of the handler, which holds the frames of what failed
        return None

    def peak_mib(self, work: Callable[[], object]) -> float | None:
        """Return the most memory that was allocated while work was done; 0 on the CPU."""
        if self.device.type != "cuda":
            work()
            return 0.0
        self.free()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        torch.cuda.synchronize(self.device)
        return (torch.cuda.max_memory_allocated(self.device) - before) / 2**20

    def milliseconds(self, step: Callable[[], object]) -> float:
        """Return the median time of a turn's steps, after one that warms up.

        On the CPU it is that of one step: interpreted kernels take seconds, which mean nothing.
        """
        if self.tiny:
            began = time.perf_counter()
            step()
            return 1e3 * (time.perf_counter() - began)
        step()
        marks = [[_event() for _ in "be"] for _ in range(self.steps)]
        for begin, end in marks:
            begin.record()
            step()
            end.record()
        torch.cuda.synchronize(self.device)
        return float(statistics.median(begin.elapsed_time(end) for begin, end in marks))

    def in_turn(
        self, work: Mapping[str, Callable[[], Callable[[], object]]]
    ) -> dict[str, list[float]]:
        """Return the milliseconds of every round; what runs out of memory has none, and leaves.

        ``work`` makes each contender anew for its turn, so that no other one's memory counts.
        """
        times: dict[str, list[float]] = {name: [] for name in work}
        left = dict(work)
        for number in range(int(self.tiny), self.rounds + 1):
            for name, make in list(left.items()):
                took = self.fitting(partial(self._turn, make))
                if took is None:
                    del left[name]
                    times[name] = []
                elif number:  # the first round compiles, where anything is
                    times[name].append(took)
                self.free()
        return times

    def _turn(self, make: Callable[[], Callable[[], object]]) -> float:
        return self.milliseconds(make())


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def ran_out(error: BaseException) -> bool:
    """Return whether an error, or what caused it, says that memory ran out."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, torch.OutOfMemoryError | MemoryError):
            return True
        cause = cause.__cause__
    return False


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median, smallest and largest; ``-`` for no values."""
    if not values:
        return "-"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each round; none where one side has no times."""
    return [a / b for a, b in zip(above, below, strict=True)] if above and below else []
